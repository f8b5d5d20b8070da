"""Files as events name them. Light to import."""

from __future__ import annotations

from pathlib import Path

from trainer.catalog import file_sha256
from trainer.protocol import File


def describe(path: Path) -> File:
    """A file's name, place, hash and size."""
    return File(name=path.name, path=path, sha256=file_sha256(path), size_bytes=path.stat().st_size)
