"""One line of text → a command with its words, for places where people type: `/say @h prompt="My dream is" count=5`."""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path

from bot.errors import CommandError
from bot.gateways.forms import FORMS, IN_A_SHELL, KEYS, MAY_BE_EMPTY, told
from bot.gateways.line import Line, path, refuse_words, the_handle, whole_number, yes_or_no
from bot.requests import Ask, BlendRequest, CloneRequest, RefreshRequest, SayRequest

_OPTION = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
_BARE_HANDLE = re.compile(r"[\w.@-]{1,64}")
_WEIGHT = re.compile(r"\d{1,6}(\.\d{1,6})?%?")


def parse(text: str) -> Line:
    """Take a line apart. `/` and `!` both begin a command.

    Raises:
        CommandError: for an unknown command or option, with the nearest known one, an empty option, or an open quote.
    """
    text = text.strip()
    if text[:1] not in ("/", "!"):
        raise CommandError("Commands begin with a slash.", "/help lists them; to hear somebody: /say @handle")
    name, rest = [*text[1:].split(maxsplit=1), "", ""][:2]
    name = name.lower()
    if name not in FORMS:
        raise _unknown(name)
    try:
        parts = shlex.split(rest)
    except ValueError:
        raise CommandError("A quote is opened and not closed.", f"The form is {FORMS[name]}") from None
    keys = KEYS.get(name, ())
    handle: str | None = None
    words: list[str] = []
    options: dict[str, str] = {}
    for part in parts:
        option = _OPTION.fullmatch(part)
        if option and option[1] in keys:
            if not option[2] and option[1] not in MAY_BE_EMPTY:
                raise CommandError(f"{option[1]}= is empty.", f"Leave it out, or write it as in {FORMS[name]}")
            options[option[1]] = option[2]
        elif option and not words:
            raise CommandError(
                f"/{name} has no option {option[1]}.", f"{_nearest(option[1], list(keys), '')}The form is {FORMS[name]}"
            )
        elif part.startswith("@") and handle is None and (name != "say" or not words):  # a prompt may name people
            handle = part
        else:
            words.append(part)
    if handle is None and (place := _place_of_bare_handle(FORMS[name], words)) is not None:
        handle = words.pop(place)
    return Line(name, handle, tuple(words), options, FORMS[name])


def _place_of_bare_handle(form: str, words: list[str]) -> int | None:
    """Which word is the handle without its @, by a form in which nothing else can stand there."""
    if words and re.match(r"/\w+ @handle", form):
        place = 0
    elif len(words) == 2 and re.search(rf"\b{re.escape(words[0])} \[?@handle\]?( \||\]|$)", form):
        place = 1
    else:
        return None
    return place if _BARE_HANDLE.fullmatch(words[place]) else None


def clone_request(line: Line, requested_by: str, ask: Ask | None = None) -> CloneRequest:
    """What `/clone` asks for. Raises CommandError for a value that is not allowed."""
    file = _file(line)
    source = line.options.get("source", "file")
    if source not in ("file", "archive", "x"):
        raise CommandError(f"There is no source {source!r}.", "Posts come from a file, file=PATH, or from X, source=x")
    return CloneRequest(
        handle=line.handle,
        file=file,
        recipe=line.options.get("recipe"),
        heldout=yes_or_no(line, "heldout"),
        newest=whole_number(line, "newest"),
        requested_by=requested_by,
        seed=whole_number(line, "seed"),
        source="x" if source == "x" else "file",
        depth=whole_number(line, "depth"),
        ask=ask,
    )


def blend_request(line: Line, requested_by: str) -> BlendRequest:
    """What `/blend` asks for: handles, then `weights` and one for each. Raises CommandError."""
    handles = [line.handle] if line.handle else []
    words = list(line.words)
    while words and words[0] != "weights" and not _WEIGHT.fullmatch(words[0]):
        handles.append(words.pop(0))
    weights: list[float] = []
    for word in words[words[:1] == ["weights"] :]:
        if not _WEIGHT.fullmatch(word):
            raise CommandError(f"{word!r} is no weight.", f"The form is {line.form}")
        weights.append(float(word.rstrip("%")))
    return BlendRequest(
        handles=tuple(handles),
        weights=tuple(weights),
        name=line.options.get("as"),
        recipe=line.options.get("recipe"),
        newest=whole_number(line, "newest"),
        requested_by=requested_by,
        seed=whole_number(line, "seed"),
    )


def refresh_request(line: Line, requested_by: str, ask: Ask | None = None) -> RefreshRequest:
    """What `/refresh` asks for. Raises CommandError."""
    return RefreshRequest(the_handle(line), _file(line), requested_by, whole_number(line, "seed"), ask)


def _file(line: Line) -> Path | None:
    """The file, with or without its `file=`. Raises CommandError, also where anything is left over."""
    named = line.options.get("file")
    refuse_words(line, 0 if named else 1, 'A path with spaces stands in quotes: file="my archive.zip". ')
    if named is not None:
        return path(named)
    return path(line.words[0]) if line.words else None


def say_request(line: Line) -> SayRequest:
    """What `/say` asks for; words that are no option are the prompt, or its rest. Raises CommandError."""
    prompt = " ".join([*filter(None, [line.options.get("prompt")]), *line.words])
    count = whole_number(line, "count")
    return SayRequest(line.handle, prompt, 1 if count is None else count, whole_number(line, "seed"))


def help_lines(line: Line) -> list[str]:
    """`/help`'s answer. Raises CommandError where no such command is known."""
    refuse_words(line, 1)
    names = tuple(word.lower().lstrip("/!") for word in line.words)
    for name in names:
        if name not in FORMS:
            raise _unknown(name)
    return told(names)


def export_folder(line: Line) -> Path:
    """Where `/export` writes. Raises CommandError where no folder is named."""
    if len(line.words) != 1:
        raise CommandError("/export needs one folder.", f"The form is {line.form}")
    return path(line.words[0])


def _unknown(name: str) -> CommandError:
    if name in IN_A_SHELL:
        return CommandError(f"/{name} is a command of the shell alone.", IN_A_SHELL[name])
    return CommandError(f"There is no command /{name}.", _nearest(name, list(FORMS), "/") + "/help lists them.")


def _nearest(word: str, known: list[str], prefix: str) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {prefix}{found[0]}? " if found else ""
