"""Lists of toxic words, by language: those of the package badwords-py, of which nothing is imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def files() -> dict[str, Path]:
    """Each language's list, such as `en`; none where the package is not installed."""
    spec = importlib.util.find_spec("badwords")  # which does not import it
    if spec is None or spec.origin is None:
        return {}
    return {file.stem: file for file in sorted((Path(spec.origin).parent / "resource" / "words").glob("*.txt"))}


def named(languages: str) -> list[str]:
    """The languages of `en,es`."""
    return [language.strip() for language in languages.split(",") if language.strip()]
