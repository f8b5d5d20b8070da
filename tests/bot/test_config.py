"""Settings: where they come from, which wins, and how a person is told that one is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import find, load
from bot.errors import SettingsError
from bot.settings import Settings, setting_keys, toxic_lists
from bot.settings.urls import is_base_url

ROOT = Path(__file__).resolve().parents[2]


def config(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None, environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environ)
    return caught.value.message


def flat(tables: dict[str, object]) -> dict[str, object]:
    keys: dict[str, object] = {}
    for name, value in tables.items():
        keys |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return keys


def test_nothing_given_leaves_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path / "config.toml", {})
    assert settings == Settings(data_dir=Path.cwd() / "data")
    assert_type(settings.voice.timeout_s, float)
    assert_type(settings.data_dir, Path)


def test_file_wins_over_defaults_and_environment_over_both(tmp_path: Path) -> None:
    path = config(tmp_path, "[voice]\nparallel = 2\nqueue = 9\n")
    settings = load(path, {"MYNAH_VOICE__PARALLEL": "3", "HOME": "/root"})
    assert (settings.voice.parallel, settings.voice.queue, settings.voice.max_adapters) == (3, 9, 8)


def test_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(config(tmp_path, "recipe = 'huggingtweets'"), {"MYNAH_RECIPE": ""}).recipe == "huggingtweets"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(None, {}).voice.parallel = 3


@pytest.mark.parametrize(
    ("toml", "environ", "expected"),
    [
        ("", {}, "{folder}/data"),
        ("data_dir = 'state'", {}, "{folder}/state"),
        ("data_dir = '/srv/mynah'", {}, "/srv/mynah"),
        ("data_dir = 'state'", {"MYNAH_DATA_DIR": "here"}, "{cwd}/here"),
        ("", {"MYNAH_DATA_DIR": "/srv/mynah"}, "/srv/mynah"),
    ],
)
def test_data_folder_is_absolute(tmp_path: Path, toml: str, environ: dict[str, str], expected: str) -> None:
    settings = load(config(tmp_path, toml), environ)
    assert str(settings.data_dir) == expected.format(folder=tmp_path, cwd=Path.cwd())


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"MYNAH_TRAINING__DEVICE": "gpu"},
            "MYNAH_TRAINING__DEVICE in the environment is 'gpu'; it should be 'auto', 'cpu', 'cuda' or 'mps'.",
        ),
        (
            {"MYNAH_VOICE__PARALLEL": "many"},
            "MYNAH_VOICE__PARALLEL in the environment is 'many'; it should be a whole number from 1 to 64.",
        ),
        (
            {"MYNAH_VOICE__TIMEOUT_S": "0"},
            "MYNAH_VOICE__TIMEOUT_S in the environment is '0'; it should be a number above 0 to 3600.",
        ),
        (
            {"MYNAH_RECIPE": "gpt4"},
            "MYNAH_RECIPE in the environment is 'gpt4'; it should be 'mynah' or 'huggingtweets'.",
        ),
        (
            {"MYNAH_TIMEZONE": "../etc"},
            "MYNAH_TIMEZONE in the environment is '../etc'; "
            "it should be a name of the IANA time zone database, such as 'UTC' or 'Europe/Madrid'.",
        ),
        (
            {"MYNAH_SCHEDULE__ZONE": "Mars"},
            "MYNAH_SCHEDULE__ZONE in the environment is 'Mars'; "
            "it should be empty, or a name of the IANA time zone database, such as 'Europe/Madrid'.",
        ),
        (
            {"MYNAH_GUARD__BLOCKED_WORDS": "/no/such.txt"},
            "MYNAH_GUARD__BLOCKED_WORDS in the environment is '/no/such.txt'; "
            "it should be a text file in UTF-8, one word a line, that can be read.",
        ),
        (
            {"MYNAH_GUARD__TOXIC_WORDS": "en,xx"},
            "MYNAH_GUARD__TOXIC_WORDS in the environment is 'en,xx'; "
            f"it should be empty, or languages with commas between them, of {', '.join(toxic_lists.files())}.",
        ),
        (
            {"MYNAH_VOICE__PARALEL": "2"},
            "MYNAH_VOICE__PARALEL in the environment is no setting; the nearest one is MYNAH_VOICE__PARALLEL.",
        ),
    ],
)
def test_wrong_setting_names_key_value_and_what_is_allowed(environ: dict[str, str], message: str) -> None:
    assert refusal(None, environ) == message


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = config(tmp_path, "recipe = 3\nfoo = 1\n[trainning]\nnice = 1\n[limits]\nmax_posts = 0\n")
    assert refusal(path, {"MYNAH_LOGGING__LEVEL": "LOUD"}).splitlines() == [
        "5 settings are wrong:",
        f"  foo in {path} is no setting.",
        f"  trainning.nice in {path} is no setting; the nearest one is training.nice.",
        f"  recipe in {path} is '3'; it should be a valid string.",
        f"  limits.max_posts in {path} is '0'; it should be a whole number from 1.",
        "  MYNAH_LOGGING__LEVEL in the environment is 'LOUD'; it should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'.",
    ]


def test_toml_mistake_names_its_line(tmp_path: Path) -> None:
    path = config(tmp_path, "recipe = 'mynah'\n[voice\n")
    message = refusal(path, {})
    assert str(path) in message
    assert "line 2" in message


def test_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal(path, {})


def test_token_comes_from_the_environment_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hf_from_file\n", encoding="utf-8")
    given = load(None, {"HF_TOKEN": "hf_given", "HF_TOKEN_FILE": str(file)})
    read = load(None, {"HF_TOKEN_FILE": str(file)})
    assert given.tokens.hf_token is not None
    assert given.tokens.hf_token.get_secret_value() == "hf_given"
    assert read.tokens.hf_token is not None
    assert read.tokens.hf_token.get_secret_value() == "hf_from_file"
    assert "hf_" not in f"{given!r}{given}{given.model_dump()}{given.model_dump_json()}".replace("hf_token", "")


@pytest.mark.parametrize("token", ["hf_secret\nline", "hf secret", "hf_secret\x00", "hf\tsecret"])
def test_token_with_a_gap_is_refused_without_being_shown(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    message = refusal(None, {"HF_TOKEN_FILE": str(file)})
    assert "HF_TOKEN holds a space, a line break or the like" in message
    assert "secret" not in message


def test_file_with_notepads_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('base_model = "gpt2"\n', encoding="utf-8-sig")
    assert load(path, {}).base_model == "gpt2"


def test_unreadable_token_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in refusal(None, {"HF_TOKEN_FILE": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    "key", ["hf_token", "urls.hub_token", "tokens.hf_token", "password", "hub_api_key", "HF_TOKEN"]
)
def test_token_in_config_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    message = refusal(config(tmp_path, f"{key} = 'hf_secret'"), {})
    assert "looks like a secret: those belong in the environment alone (HF_TOKEN, HF_TOKEN_FILE" in message
    assert "hf_secret" not in message


def test_password_in_an_address_is_not_shown() -> None:
    message = refusal(None, {"MYNAH_URLS__HUB": "https://me:hunter2@hub.example.org"})
    assert "hub.example.org" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://hub.example.org", True),
        ("http://127.0.0.1:8080/hub", True),
        ("ftp://hub.example.org", False),
        ("hub.example.org", False),
        ("https://", False),
        ("https://me@hub.example.org", False),
        ("https://hub.example.org?x=1", False),
        ("https://hub.example.org:99999", False),
        ("https://hub example.org", False),
    ],
)
def test_base_url_is_one_that_a_path_can_be_added_to(value: str, expected: bool) -> None:
    assert is_base_url(value) is expected


@given(
    st.dictionaries(
        st.from_regex(r"MYNAH_[A-Z_.]{1,30}", fullmatch=True) | st.sampled_from(["MYNAH_DATA_DIR", "MYNAH_URLS__HUB"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    )
)
def test_any_environment_gives_settings_or_a_sentence(environ: dict[str, str]) -> None:
    try:
        assert load(None, environ).data_dir.is_absolute()
    except SettingsError as error:
        assert error.message.endswith(".")


def test_config_toml_lists_every_setting_with_default_and_comment() -> None:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    written = flat(tomllib.loads(text))
    defaults = flat(Settings().model_dump(mode="json", exclude={"tokens", "config_file"}))
    comments = re.findall(r"^(\w+) = .*?  # (.+)$", text, re.MULTILINE)
    assert list(written) == list(setting_keys())
    assert written == defaults
    assert comments == [(key.rpartition(".")[2], comment) for key, comment in setting_keys().items()]


def test_config_toml_is_found_in_the_folder_or_in_the_checkout(tmp_path: Path) -> None:
    assert find(tmp_path) == ROOT / "config.toml"
    assert find(config(tmp_path, "").parent) == tmp_path / "config.toml"


def test_import_reads_no_file_and_no_environment(tmp_path: Path) -> None:
    config(tmp_path, "not toml [")
    environ = {**os.environ, "MYNAH_NO_SUCH_SETTING": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", "import bot.config"], cwd=tmp_path, env=environ, check=True)
