"""What Mynah needs, and whether this machine has it: one finding for each thing, with what to do about it.

Nothing is changed, nothing is sent anywhere, and no token's value is read out. Model libraries are asked in processes
of their own, as everywhere in the bot. `diagnose` takes seconds and blocks: async code runs it in a thread.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from bot.config import TOKEN_NAMES, Settings
from bot.data_folder import DataFolder
from storage.database import check, open_readonly
from storage.errors import StorageError
from trainer import catalog

Status = Literal["ok", "warn", "fail"]

LOW_DISK_BYTES, NO_DISK_BYTES = 5_000_000_000, 500_000_000
"""A clone's checkpoints take some 100 MB, a full fine-tune 2 GB."""
LOW_MEMORY_BYTES, NO_MEMORY_BYTES = 3_000_000_000, 1_000_000_000
"""Training the default base takes some 2 GB, the voice 0.4 GB."""

_TOGETHER = (("X_CONSUMER_KEY", "X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET"),)
"""Tokens that are of use only all together."""

_CHECKOUT = Path(__file__).resolve().parent.parent

# The trainer's own choice, so that what is shown here is what a training will take.
_ASK_TORCH = """
import json, sys, torch
from trainer.device import choose
from trainer.protocol import JobFailed
try:
    place = choose(sys.argv[1], sys.argv[2])
    print(json.dumps([torch.__version__, str(place.device), place.precision]))
except JobFailed as failure:
    print(json.dumps([failure.message, failure.hint]))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fail` stops Mynah from working, `warn` from working well."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def diagnose(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Look at everything, in the order in which things build on one another."""
    folder = DataFolder(settings.data_dir)
    return [
        _settings_file(settings),
        _python(),
        _torch(settings, environ),
        _voice_engine(environ),
        _memory(),
        _data_folder(folder),
        _disk(folder),
        _database(folder),
        _base(settings, folder),
        *_tokens(settings),
        Finding("hub address", "ok", settings.urls.hub or "the public one"),
        Finding("wandb address", "ok", settings.urls.wandb or "the public one"),
    ]


def _settings_file(settings: Settings) -> Finding:
    if settings.config_file is None:
        return Finding("settings", "ok", "no config.toml; defaults and the environment")
    return Finding("settings", "ok", str(settings.config_file))


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", f"{version}, {sys.executable}")


def _torch(settings: Settings, environ: Mapping[str, str]) -> Finding:
    training = settings.training
    answer = _ask(_ASK_TORCH, environ, training.device, training.precision)
    if answer.returncode != 0:
        return Finding(
            "torch",
            "fail",
            f"PyTorch does not start: {_last_line(answer.stderr)}",
            "Run `make run` once more, which installs what is missing; or set training.device to cpu or auto.",
        )
    match json.loads(answer.stdout):
        case [message, hint]:
            return Finding("torch", "fail", message, hint)
        case [version, device, precision]:
            pass
    detail = f"{version}; training runs on {device} in {precision}"
    if device == "cpu" and precision == "fp32" and training.precision == "auto":
        return Finding("torch", "ok", f"{detail}: this processor has no bf16", "Training takes longer than with it.")
    return Finding("torch", "ok", detail)


def _voice_engine(environ: Mapping[str, str]) -> Finding:
    answer = _ask("from bot.voice.llama_library import open_library; open_library()", environ)
    if answer.returncode == 0:
        return Finding("voice", "ok", "llama.cpp, through xllamacpp")
    return Finding(
        "voice",
        "warn",
        f"xllamacpp does not start ({_last_line(answer.stderr)}), so the plain engine speaks",
        "Replies take several times as long; `pip install xllamacpp` brings llama.cpp where it has a build.",
    )


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    advice = "Close other programs before you clone someone; talking takes less."
    return Finding("memory", *_graded(memory.available, LOW_MEMORY_BYTES, NO_MEMORY_BYTES, detail, advice))


def _data_folder(folder: DataFolder) -> Finding:
    existing = _existing(folder.root)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "data folder",
            "fail",
            f"{folder.root} cannot be written",
            "Set MYNAH_DATA_DIR, or data_dir in config.toml, to a folder that you may write in.",
        )
    holder = folder.holder()
    if holder is not None:
        return Finding("data folder", "ok", f"{folder.root}, in use by {f'process {holder}' if holder else 'a Mynah'}")
    return Finding(
        "data folder", "ok", str(folder.root) + ("" if folder.root.exists() else ", made at the first start")
    )


def _disk(folder: DataFolder) -> Finding:
    free = shutil.disk_usage(_existing(folder.root)).free
    advice = f"Make room on the disk that holds {folder.root}, or set MYNAH_DATA_DIR to another one."
    return Finding("disk", *_graded(free, LOW_DISK_BYTES, NO_DISK_BYTES, f"{free / 1e9:.1f} GB free", advice))


def _database(folder: DataFolder) -> Finding:
    if not folder.database.exists():
        return Finding("database", "ok", "none yet; made at the first start")
    try:
        db = open_readonly(folder.database)
        try:
            problems = check(db)
        finally:
            db.close()
    except StorageError as error:
        return Finding("database", "fail", error.message, error.hint)
    if problems:
        advice = "Stop Mynah, keep a copy of the file, and restore a backup."
        return Finding("database", "fail", " ".join(problems[:3]), advice)
    return Finding("database", "ok", f"sound, {folder.database.stat().st_size / 1e6:.1f} MB")


def _base(settings: Settings, folder: DataFolder) -> Finding:
    name = settings.base_model
    if name in catalog.PACKAGED:
        return _packaged_base(catalog.PACKAGED[name])
    path = Path(name).expanduser()
    if path.suffix == ".gguf" or path.is_absolute() or path.exists():
        return _own_base(path)
    snapshots = folder.cache / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
    if any(snapshots.glob("*/config.json")):
        return Finding("base model", "ok", f"{name}, from the Hub, in {snapshots}")
    advice = f"The first clone brings it. Without a network, set base_model to a folder, or to {catalog.SMOLLM2.name}."
    return Finding("base model", "warn", f"{name} is no folder here and not in {folder.cache / 'hub'} yet", advice)


def _packaged_base(base: catalog.PackagedBase) -> Finding:
    path = base.path()
    if path is None:
        return Finding("base model", "fail", f"{base.name} is not installed", "Run `mynah setup`.")
    if path.stat().st_size != base.size_bytes or catalog.file_sha256(path) != base.sha256:
        return Finding("base model", "fail", f"{path} is damaged", "Run `mynah setup`, which brings it again.")
    return Finding("base model", "ok", f"{base.name}, SHA-256 right, {path}")


def _own_base(path: Path) -> Finding:
    if path.suffix == ".gguf":
        complete, missing = path.is_file(), f"{path} is not there"
    else:
        complete = (path / "config.json").is_file() and any(path.glob("*.safetensors"))
        missing = f"{path} lacks config.json or *.safetensors"
    if complete:
        return Finding("base model", "ok", str(path.resolve()))
    return Finding(
        "base model", "fail", missing, "Correct base_model: a known name, a Hub id, a folder or a .gguf file."
    )


def _tokens(settings: Settings) -> list[Finding]:
    present = {name for name in TOKEN_NAMES if getattr(settings.tokens, name.lower()) is not None}
    return [_token(name, present) for name in TOKEN_NAMES]


def _token(name: str, present: set[str]) -> Finding:
    if name in present:
        return Finding(name, "ok", "present")
    for others in _TOGETHER:
        if name in others and (there := present.intersection(others)):
            advice = "Set it, too: the four keys of an account on X work only together (docs/x.md)."
            are = "is" if len(there) == 1 else "are"
            return Finding(name, "warn", f"not set, though {' and '.join(sorted(there))} {are}", advice)
    return Finding(name, "ok", "not set; nothing needs it")


def _graded(value: int, low: int, none: int, detail: str, advice: str) -> tuple[Status, str, str]:
    if value >= low:
        return "ok", detail, ""
    return ("warn" if value >= none else "fail"), detail, advice


def _ask(program: str, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=_CHECKOUT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess([], 1, "", "it did not answer within two minutes")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
