"""config.toml and the environment become one frozen, typed `Settings`.

What this file promises: nothing is read at import; `load` sees only the file and the environment that it is given; the
environment (`MYNAH_SECTION__KEY`) wins over config.toml, which wins over the defaults of `bot.settings`; everything
that is wrong is told at once, by name. Tokens come from the environment alone and are never shown.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from bot.errors import SettingsError
from bot.own_recipes import TABLE, own_recipes
from bot.settings import Settings, Tokens, sections, setting_keys

__all__ = ["FILENAME", "TOKEN_NAMES", "Settings", "find", "load"]

ENVIRONMENT_PREFIX = "MYNAH_"
FILENAME = "config.toml"

TOKEN_NAMES = (
    "DISCORD_TOKEN",
    "HF_TOKEN",
    "WANDB_API_KEY",
    "X_CONSUMER_KEY",
    "X_CONSUMER_SECRET",
    "X_ACCESS_TOKEN",
    "X_ACCESS_TOKEN_SECRET",
    "X_BEARER_TOKEN",
    "X_CLIENT_ID",
    "X_CLIENT_SECRET",
)
"""Environment variables that hold tokens; each may instead be given as a file, named by `<NAME>_FILE`."""


def find(folder: Path) -> Path | None:
    """The config.toml of a folder, or of the checkout that this code runs from; None where neither has one."""
    candidates = (folder / FILENAME, Path(__file__).resolve().parent.parent / FILENAME)
    return next((path for path in candidates if path.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from a file (None, or one that is not there, leaves the defaults) and an environment.

    Raises SettingsError, naming every key that is wrong, its value and what is allowed.
    """
    known = setting_keys()
    tables = _read(path)
    recipes, recipe_problems = own_recipes(tables.pop(TABLE, {}))
    given = [*_from_file(tables, path), *_from_environment(environ)]
    problems = [_unknown(entry, list(known)) for entry in given if entry.key not in known]
    last_word = {entry.key: entry for entry in given if entry.key in known}
    tokens, token_problems = _tokens(environ)
    problems += recipe_problems + token_problems
    config_file = path.resolve() if path is not None and path.is_file() else None
    settings = Settings()
    try:
        settings = Settings.model_validate(
            _nested({key: entry.value for key, entry in last_word.items()})
            | {
                "tokens": tokens,
                TABLE: recipes,
                "config_file": config_file,
                "data_dir": _data_dir(last_word.get("data_dir"), config_file),
            }
        )
    except ValidationError as error:
        problems += [_wrong(details, last_word) for details in error.errors()]
    else:
        problems += _unreadable(settings, last_word)
    if problems:
        raise SettingsError("\n".join(_heading(problems)), "`mynah doctor` checks the rest once these are right.")
    return settings


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    value: object
    origin: str
    """How the person wrote it: where, and under which name."""


def _read(path: Path | None) -> dict[str, object]:
    if path is None or not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Notepad begins with a mark
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", "Correct that line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", "It should be a text file in UTF-8.") from None


def _from_file(tables: Mapping[str, object], path: Path | None) -> Iterator[_Entry]:
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from (_Entry(f"{name}.{key}", inner, f"{name}.{key} in {path}") for key, inner in value.items())
        else:
            yield _Entry(name, value, f"{name} in {path}")


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Entry]:
    for name, value in environ.items():
        if name.startswith(ENVIRONMENT_PREFIX) and value:  # an empty variable is as good as none
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield _Entry(key, value, f"{name} in the environment")


def _tokens(environ: Mapping[str, str]) -> tuple[Tokens, list[str]]:
    """Tokens, and what is wrong with them; a token is given as itself or as the file that holds it."""
    found: dict[str, SecretStr] = {}
    problems: list[str] = []
    for name in TOKEN_NAMES:
        file = environ.get(f"{name}_FILE", "")
        value = environ.get(name, "").strip()
        if not value and file:
            try:
                value = Path(file).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                problems.append(f"{name}_FILE in the environment names {file!r}, which cannot be read as text")
        if not value.isprintable() or " " in value:
            problems.append(f"{name} holds a space, a line break or the like, as no token does; copy it anew")
        elif value:
            found[name.lower()] = SecretStr(value)
    return Tokens.model_validate(found), problems


def _data_dir(entry: _Entry | None, config_file: Path | None) -> object:
    """Absolute. A relative path of the environment starts where the person is; any other, where config.toml is."""
    written = entry.value if entry is not None else "data"
    if not isinstance(written, str) or not written:
        return written if written else None  # what the settings' own check refuses
    from_environment = entry is not None and entry.origin.endswith("environment")
    base = config_file.parent if config_file is not None and not from_environment else Path.cwd()
    try:
        return base / Path(written).expanduser()
    except RuntimeError:  # the home of nobody who is known here
        return None


def _nested(flat: Mapping[str, object]) -> dict[str, object]:
    sections: dict[str, dict[str, object]] = {}
    top: dict[str, object] = {}
    for key, value in flat.items():
        section, _, name = key.rpartition(".")
        if section:
            sections.setdefault(section, {})[name] = value
        else:
            top[name] = value
    return top | sections


def _heading(problems: list[str]) -> list[str]:
    if len(problems) == 1:
        return [f"{problems[0]}."]
    return [f"{len(problems)} settings are wrong:", *(f"  {problem}." for problem in problems)]


def _unknown(entry: _Entry, known: list[str]) -> str:
    # The value is left out: under a mistaken name it may well be a secret.
    if re.search(r"(^|[._])(tokens?|secret|password|passwd|api_?key)$", entry.key.lower()):
        place = "HF_TOKEN, HF_TOKEN_FILE and the like"
        return f"{entry.origin} looks like a secret: those belong in the environment alone ({place})"
    nearest = difflib.get_close_matches(entry.key, known, n=1, cutoff=0.5)
    if not nearest and "." in entry.key:
        nearest = [key for key in known if key.startswith(entry.key.rpartition(".")[0] + ".")][:1]
    if not nearest:
        return f"{entry.origin} is no setting"
    name = nearest[0]
    if entry.origin.startswith(ENVIRONMENT_PREFIX):
        name = ENVIRONMENT_PREFIX + name.replace(".", "__").upper()
    return f"{entry.origin} is no setting; the nearest one is {name}"


def _wrong(details: ErrorDetails, given: Mapping[str, _Entry]) -> str:
    key = ".".join(str(part) for part in details["loc"])
    origin = given[key].origin if key in given else key
    written = given[key].value if key in given else details["input"]
    value = re.sub(r"//[^/@]*@", "//…@", str(written))[:80]  # an address may hold a password
    return f"{origin} is {value!r}; it should be {_allowed(key, details)}"


def _unreadable(settings: Settings, given: Mapping[str, _Entry]) -> Iterator[str]:
    """Files that settings name, and that cannot be read."""
    try:
        if (file := settings.blocked_words_file) is not None:
            file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError, ValueError):  # the home of nobody; a zero byte
        entry = given["guard.blocked_words"]
        yield f"{entry.origin} is {entry.value!r}; it should be a text file in UTF-8, one word a line, that can be read"


def _allowed(key: str, details: ErrorDetails) -> str:
    """What a key takes, in words; for a number with its unit-free bounds, whichever way it was wrong."""
    if key == "data_dir":
        return "the path of a folder"
    section, _, name = key.rpartition(".")
    fields = sections().get(section, Settings).model_fields
    field = fields.get(name)
    if field is None or field.annotation not in (int, float):
        return details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    bounds = {
        name: getattr(bound, name) for bound in field.metadata for name in ("ge", "gt", "le") if hasattr(bound, name)
    }
    words = "a whole number" if field.annotation is int else "a number"
    least = f" from {bounds['ge']}" if "ge" in bounds else f" above {bounds['gt']}" if "gt" in bounds else ""
    return words + least + (f" to {bounds['le']}" if "le" in bounds else "")
