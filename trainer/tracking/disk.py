"""What `wandb` leaves on disk for a run: its log, and the mark that says that all of it is uploaded."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError


class _Entry(BaseModel):
    level: str
    msg: str


def first_error(log: Path) -> str:
    """The first thing that wandb's own process could not do, by its log; it tells the library nothing of these."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    for line in lines:
        try:
            entry = _Entry.model_validate_json(line)
        except ValidationError:
            continue  # a disk that is full cuts lines short
        if entry.level.startswith("ERROR"):
            return entry.msg.splitlines()[0]
    return ""


def unsynced(folder: Path) -> list[Path]:
    """The runs in a tracking folder that are not uploaded, oldest first."""
    files = [file for file in folder.glob("wandb/*run-*/*.wandb") if not is_synced(file)]
    return sorted(files, key=lambda file: file.parent.name.partition("run-")[2])


def is_synced(file: Path) -> bool:
    return _mark(file).exists()


def mark_synced(file: Path) -> None:
    """As `wandb sync` marks it."""
    _mark(file).touch()


def _mark(file: Path) -> Path:
    return file.with_name(file.name + ".synced")
