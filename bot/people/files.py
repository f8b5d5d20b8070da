"""What lies in the data folder of a person who is forgotten: files that are named after a clone or persona, and lines.

Jobs, checkpoints, logs, cards, pictures, exports, adapters and W&B's offline runs all bear the id of what they belong
to, which is a ULID: whatever has such an id in its name goes with it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from bot.data_folder import DataFolder

_ID = re.compile(r"(?<![0-9A-Z])[0-7][0-9ABCDEFGHJKMNPQRSTVWXYZ]{25}(?![0-9A-Z])")
_DEEPEST = 4


def delete(folder: DataFolder, ids: Collection[str]) -> int:
    """Delete what is named after these; returns the bytes."""
    return sum(_remove(path) for path in _named(folder.root, 0) if _ids_in(path) & set(ids))


def delete_strays(folder: DataFolder, known: Collection[str]) -> int:
    """Delete what is named after nobody that there is: a crash came between the rows and the files. Returns bytes."""
    places = (folder.cards, folder.logs, folder.tracking, folder.cache)
    return sum(
        _remove(path)
        for place in places
        for path in _named(place, 1)
        if (ids := _ids_in(path)) and not ids & set(known)
    )


def forget_in_jobs(folder: DataFolder, handles: Collection[str]) -> None:
    """Take these people's posts out of what trainings under way tell others apart by."""
    for path in folder.jobs.glob("*/others.jsonl"):
        with path.open(encoding="utf-8") as lines:
            kept = [line for line in lines if json.loads(line).get("person") not in handles]
        _replace(path, "".join(kept))


def forget_in_history(folder: DataFolder, handles: Collection[str]) -> None:
    """Take the lines that name these people out of what was typed at the console (prompt_toolkit's `FileHistory`)."""
    path = folder.root / "history"
    if not path.is_file():
        return
    named = re.compile(rf"(?i)(?<![\w.-])(?:{'|'.join(map(re.escape, handles))})(?![\w-])")
    entries = re.split(r"(?m)^(?=# )", path.read_text(encoding="utf-8", errors="replace"))
    _replace(path, "".join(entry for entry in entries if not named.search(entry)))


def _named(folder: Path, depth: int) -> Iterator[Path]:
    """Files and folders, the outermost that bears an id alone."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if _ids_in(path):
            yield path
        elif path.is_dir() and not path.is_symlink() and depth < _DEEPEST:
            yield from _named(path, depth + 1)


def _ids_in(path: Path) -> set[str]:
    return set(_ID.findall(path.name))


def _remove(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        size = sum(each.lstat().st_size for each in path.rglob("*") if each.is_file())
        shutil.rmtree(path, ignore_errors=True)
        return size
    size = path.lstat().st_size
    path.unlink(missing_ok=True)
    return size


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, and as private as it was."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(path.stat().st_mode & 0o777)
    os.replace(fresh, path)
