"""The doctor: what it finds on a sound machine and on broken ones, and what it says to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.config import TOKEN_NAMES, load
from bot.data_folder import DataFolder
from bot.doctor import Finding, diagnose
from bot.settings import Settings
from storage.database import open_database


def findings(environ: dict[str, str], process_environ: dict[str, str] | None = None) -> dict[str, Finding]:
    settings = load(None, environ)
    return {finding.name: finding for finding in diagnose(settings, process_environ or dict(os.environ))}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(None, {"MYNAH_DATA_DIR": str(tmp_path / "data")})


def test_sound_machine_has_no_failure(tmp_path: Path) -> None:
    found = findings({"MYNAH_DATA_DIR": str(tmp_path / "data")})
    assert [name for name, finding in found.items() if finding.status == "fail"] == []
    assert list(found) == [
        *("settings", "python", "torch", "voice", "memory", "data folder", "disk", "database", "base model"),
        *(*TOKEN_NAMES, "hub address", "wandb address"),
    ]
    assert "training runs on" in found["torch"].detail
    assert not (tmp_path / "data").exists()


def test_everything_that_is_not_ok_says_what_to_do(tmp_path: Path, tiny_gpt2: Path) -> None:
    (tmp_path / "mynah.db").write_bytes(b"no database at all, and longer than a header is" * 10)
    broken_python = {**os.environ, "PYTHONPATH": str(packages_that_fail(tmp_path / "broken"))}
    found = findings({"MYNAH_DATA_DIR": str(tmp_path), "MYNAH_BASE_MODEL": "/no/such/folder"}, broken_python)
    bad = {name: finding for name, finding in found.items() if finding.status != "ok"}
    assert {name: finding.status for name, finding in bad.items() if name not in ("memory", "disk")} == {
        "torch": "fail",
        "voice": "warn",
        "database": "fail",
        "base model": "fail",
    }
    assert all(finding.advice for finding in bad.values())
    assert "no such torch" in bad["torch"].detail


def packages_that_fail(folder: Path) -> Path:
    folder.mkdir()
    for name in ("torch", "xllamacpp"):
        (folder / f"{name}.py").write_text(f"raise ImportError('no such {name}')\n", encoding="utf-8")
    return folder


def test_folder_of_a_model_is_a_base(tmp_path: Path, tiny_gpt2: Path) -> None:
    found = findings({"MYNAH_DATA_DIR": str(tmp_path), "MYNAH_BASE_MODEL": str(tiny_gpt2)})
    assert found["base model"] == Finding("base model", "ok", str(tiny_gpt2))


def test_hub_base_says_where_it_was_looked_for(tmp_path: Path) -> None:
    found = findings({"MYNAH_DATA_DIR": str(tmp_path), "MYNAH_BASE_MODEL": "gpt2"})
    assert found["base model"].status == "warn"
    assert str(tmp_path / "cache" / "hub") in found["base model"].detail


def test_token_is_said_to_be_present_and_never_shown(tmp_path: Path) -> None:
    found = findings({"MYNAH_DATA_DIR": str(tmp_path), "HF_TOKEN": "hf_secret"})
    assert found["HF_TOKEN"].detail == "present"
    assert "hf_secret" not in str(found)


def test_keys_that_work_only_together_are_missed(tmp_path: Path) -> None:
    found = findings({"MYNAH_DATA_DIR": str(tmp_path), "X_CONSUMER_KEY": "key"})
    missed = [name for name, finding in found.items() if finding.status == "warn" and name.startswith("X_")]
    assert missed == ["X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET"]
    assert found["X_ACCESS_TOKEN"].detail == "not set, though X_CONSUMER_KEY is"


def test_held_folder_names_its_holder(settings: Settings) -> None:
    folder = DataFolder(settings.data_dir)
    with folder.held():
        found = {finding.name: finding for finding in diagnose(settings, os.environ)}
    assert found["data folder"].detail == f"{settings.data_dir}, in use by process {os.getpid()}"


def test_sound_database_is_checked(settings: Settings) -> None:
    open_database(DataFolder(settings.data_dir).database).close()
    found = {finding.name: finding for finding in diagnose(settings, os.environ)}
    assert found["database"].status == "ok"
    assert found["database"].detail.startswith("sound")


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    found = findings({"MYNAH_DATA_DIR": str(tmp_path / "file")})
    assert found["data folder"].status == "fail"
