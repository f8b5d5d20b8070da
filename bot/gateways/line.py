"""A command as it was typed, and what every command may ask of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from bot.errors import CommandError

_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Line:
    """A command as it was typed."""

    name: str
    handle: str | None = None
    words: tuple[str, ...] = ()
    """What is neither the handle nor an option."""
    options: dict[str, str] = field(default_factory=dict)
    form: str = field(default="", compare=False)
    """How the command is written, for whoever writes it otherwise."""


def the_handle(line: Line) -> str:
    """The handle that a command cannot do without. Raises CommandError."""
    if line.handle is None:
        raise CommandError(f"/{line.name} needs a handle.", f"It begins with @. The form is {line.form}")
    return line.handle


def refuse_words(line: Line, known: int, mind: str = "") -> None:
    """Raises CommandError where there are more words than the command takes: half a command is not done.

    `mind` is what a person has probably missed then.
    """
    if len(line.words) > known:
        word = line.words[known]
        if line.handle is None and "@handle" in line.form and not (mind and "." in word):  # `my archive.zip`
            mind = "A handle begins with @. "
        raise CommandError(f"{word!r} is one word too many.", f"{mind}The form is {line.form}")


def path(text: str) -> Path:
    """A path as a person writes it, with ~ for their home. Raises CommandError."""
    if not text:  # which `Path` takes for the folder where Mynah was started
        raise CommandError("The path is empty.", "Name a file or a folder.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise CommandError(f"{text!r} names the home of nobody known here.", "Write the path in full.") from None


def yes_or_no(line: Line, key: str) -> bool | None:
    """An option that is yes or no; None where it is not given. Raises CommandError."""
    text = line.options.get(key)
    if text is not None and text not in _YES_NO:
        raise CommandError(f"{key} is {text!r}.", "It is yes or no.")
    return _YES_NO[text] if text is not None else None


def whole_number(line: Line, key: str) -> int | None:
    """An option that is a number; None where it is not given. What is too little or too much, its command says.

    Raises CommandError.
    """
    text = line.options.get(key)
    if text is None:
        return None
    if not re.fullmatch(r"[-+]?\d{1,18}", text):
        raise CommandError(f"{key} is {text!r}.", "It is a whole number of at most 18 digits, such as 5.")
    return int(text)
