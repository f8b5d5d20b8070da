"""What a stranger's model says of itself is taken where it makes sense, and never breaks anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trainer.hub_jobs import manifest
from trainer import manifest as manifest_module
from trainer.adoption.settings import read_json, read_sampling, read_speaker, sane
from trainer.manifest import Manifest
from trainer.protocol import JobFailed
from trainer.recipes import Sampling

IN_THIS_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)
NAMES = ("temperature", "top_k", "top_p", "min_length", "max_length", "min_tokens", "max_tokens")


@IN_THIS_FOLDER
@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_sampling_is_always_one_that_can_be_spoken_with(
    tmp_path: Path, of_old: dict[str, object], of_today: dict[str, object]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"task_specific_params": {"text-generation": of_old}}))
    (tmp_path / "generation_config.json").write_text(json.dumps(of_today))
    sampling = read_sampling(tmp_path)
    assert 0 < sampling.temperature <= 5
    assert 0 < sampling.top_p <= 1
    assert sampling.top_k >= 0
    assert 0 <= sampling.min_tokens <= sampling.max_tokens <= 4096


def test_generation_config_goes_before_task_specific_params(tmp_path: Path) -> None:
    tasks = {"text-generation": {"temperature": 0.5, "top_p": 0.5}}
    (tmp_path / "config.json").write_text(json.dumps({"task_specific_params": tasks}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"temperature": 0.7}))
    assert read_sampling(tmp_path) == Sampling(temperature=0.7, top_p=0.5)


def test_usual_sampling_stays_as_it_is() -> None:
    assert sane(Sampling().model_dump()) == Sampling()


@IN_THIS_FOLDER
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_file_is_an_object_or_told_as_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    try:
        assert isinstance(read_json(tmp_path / "config.json"), dict)
    except JobFailed as failure:
        assert failure.kind == "corrupt"


@IN_THIS_FOLDER
@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_any_name_in_a_card_comes_out_printable(tmp_path: Path, name: str) -> None:
    bold, small = '<div style="font-weight: 800">', '<div style="font-size: 15px">'
    card = f"- huggingtweets\n{bold}{name} 🤖 AI Bot </div>\n{small}@some_body bot</div>"
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    speaker = read_speaker(tmp_path)
    assert speaker.display_name.isprintable()
    assert len(speaker.display_name) <= 300
    assert speaker.handle in ("", "some_body")


@pytest.mark.parametrize("card", ["", "# Nothing", "- huggingtweets", "<div>" * 20_000 + "huggingtweets"])
def test_card_that_tells_nothing_is_no_speaker(tmp_path: Path, card: str) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert read_speaker(tmp_path).handle == ""


def test_manifest_is_read_as_it_was_packed(tmp_path: Path) -> None:
    written = manifest("full", base="openai-community/gpt2")
    manifest_module.pack(tmp_path, tmp_path, written)
    assert manifest_module.read(tmp_path / "mynah.json") == written


@pytest.mark.parametrize("base", ["/home/somebody/models/tiny", "/data/bases/tiny", "~/models/tiny", "../tiny"])
def test_manifest_tells_no_path(tmp_path: Path, base: str) -> None:
    manifest_module.pack(tmp_path, tmp_path, manifest("full", base=base))
    told = manifest_module.read(tmp_path / "mynah.json")
    assert told is not None
    assert told.base == "tiny"


def test_what_a_later_format_adds_is_passed_over_and_another_format_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mynah.json"
    path.write_text(json.dumps({**manifest("full").model_dump(), "mood": "good"}))
    assert isinstance(manifest_module.read(path), Manifest)
    path.write_text(json.dumps({**manifest("full").model_dump(), "format": 2}))
    assert manifest_module.read(path) is None


@IN_THIS_FOLDER
@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mynah.json").write_bytes(content)
    assert manifest_module.read(tmp_path / "mynah.json") is None
