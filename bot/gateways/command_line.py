"""One line of text → a command with its words, for places where people type: `/say @h prompt="My dream is" count=5`."""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path

from bot.errors import CommandError
from bot.gateways import families
from bot.gateways.line import Line, path, the_handle, whole_number, yes_or_no
from bot.requests import Ask, BlendRequest, CloneRequest, RefreshRequest, SayRequest

FORMS = {
    "clone": "/clone [@handle] file=PATH | source=x [depth=N] [recipe=NAME] [newest=N] [heldout=yes|no] [seed=N]",
    "say": '/say [@handle] [prompt="…"] [count=N] [seed=N]',
    "models": "/models",
    "blend": "/blend @a @b [@c …] [weights 60 40] [as=NAME] [recipe=NAME] [seed=N]",
    "refresh": "/refresh @handle [file=PATH] [seed=N]",
    "versions": "/versions @handle",
    "rollback": "/rollback @handle [version=N]",
    "evaluate": "/evaluate @handle [samples=N] [seed=N]",
    "card": "/card @handle",
    "push": "/push @handle [repo=NAME] [public=yes|no]",
    "adopt": "/adopt FOLDER-OR-REPO [as=NAME]",
    "train": "/train status | watch | cancel [@handle]",
    "export": "/export @handle DIR",
    **families.forms(),
    "help": "/help",
    "quit": "/quit",
}
_KEYS = {
    "clone": ("file", "recipe", "newest", "heldout", "seed", "source", "depth"),
    "say": ("prompt", "count", "seed"),
    "blend": ("as", "recipe", "seed"),
    "refresh": ("file", "seed"),
    "rollback": ("version",),
    "evaluate": ("samples", "seed"),
    "push": ("repo", "public"),
    "adopt": ("as",),
    **families.keys(),
}
_OPTION = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
_WEIGHT = re.compile(r"\d{1,6}(\.\d{1,6})?%?")


def parse(text: str) -> Line:
    """Take a line apart. `/` and `!` both begin a command.

    Raises:
        CommandError: for an unknown command or option, with the nearest known one, or an open quote.
    """
    text = text.strip()
    if text[:1] not in ("/", "!"):
        raise CommandError("Commands begin with a slash.", "/help lists them; to hear somebody: /say @handle")
    name, rest = [*text[1:].split(maxsplit=1), "", ""][:2]
    name = name.lower()
    if name not in FORMS:
        raise CommandError(f"There is no command /{name}.", _nearest(name, list(FORMS), "/") + "/help lists them.")
    try:
        parts = shlex.split(rest)
    except ValueError:
        raise CommandError("A quote is opened and not closed.", f"The form is {FORMS[name]}") from None
    keys = _KEYS.get(name, ())
    handle: str | None = None
    words: list[str] = []
    options: dict[str, str] = {}
    for part in parts:
        option = _OPTION.fullmatch(part)
        if option and option[1] in keys:
            options[option[1]] = option[2]
        elif option and not words:
            raise CommandError(
                f"/{name} has no option {option[1]}.", f"{_nearest(option[1], list(keys), '')}The form is {FORMS[name]}"
            )
        elif part.startswith("@") and handle is None and (name != "say" or not words):  # a prompt may name people
            handle = part
        else:
            words.append(part)
    return Line(name, handle, tuple(words), options, FORMS[name])


def clone_request(line: Line, requested_by: str, ask: Ask | None = None) -> CloneRequest:
    """What `/clone` asks for. Raises CommandError for a value that is not allowed."""
    words = list(line.words)
    file = line.options.get("file") or (words.pop(0) if words else None)
    if words:
        raise CommandError(f"{words[0]!r} is one word too many.", f"The form is {line.form}")
    source = line.options.get("source", "file")
    if source not in ("file", "archive", "x"):
        raise CommandError(f"There is no source {source!r}.", "Posts come from a file, file=PATH, or from X, source=x")
    return CloneRequest(
        handle=line.handle,
        file=path(file) if file else None,
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
        requested_by=requested_by,
        seed=whole_number(line, "seed"),
    )


def refresh_request(line: Line, requested_by: str, ask: Ask | None = None) -> RefreshRequest:
    """What `/refresh` asks for. Raises CommandError."""
    words = list(line.words)
    file = line.options.get("file") or (words.pop(0) if words else None)
    if words:
        raise CommandError(f"{words[0]!r} is one word too many.", f"The form is {line.form}")
    seed = whole_number(line, "seed")
    return RefreshRequest(the_handle(line), path(file) if file else None, requested_by, seed, ask)


def say_request(line: Line) -> SayRequest:
    """What `/say` asks for; words that are no option are the prompt, or its rest. Raises CommandError."""
    prompt = " ".join([*filter(None, [line.options.get("prompt")]), *line.words])
    count = whole_number(line, "count")
    return SayRequest(line.handle, prompt, 1 if count is None else count, whole_number(line, "seed"))


def export_folder(line: Line) -> Path:
    """Where `/export` writes. Raises CommandError where no folder is named."""
    if len(line.words) != 1:
        raise CommandError("/export needs one folder.", f"The form is {line.form}")
    return path(line.words[0])


def _nearest(word: str, known: list[str], prefix: str) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {prefix}{found[0]}? " if found else ""
