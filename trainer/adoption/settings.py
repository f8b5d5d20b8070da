"""What a stranger's model says of itself: whose voice it is, and how it should speak. All of it is doubted."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.adoption.origin import CARD, CONFIG, GENERATION_CONFIG
from trainer.protocol import JobFailed
from trainer.recipes import Sampling

Json = dict[str, object]

_MAX_NAME = 300
_HUGGINGTWEETS_NAME = re.compile(
    r"<div[^<>]*font-weight: 800[^<>]*>([^\n]{0,2000}?)</div>\s{0,200}<div[^<>]*>@([\w.-]{1,64}?)(?: bot)?</div>",
    re.ASCII,
)
"""Both of its templates: the name in bold type, then the handle."""
_ROBOT = re.compile(r"\s*🤖 AI Bot\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Speaker:
    """Whose voice a model's card says that it is; empty where it does not."""

    display_name: str = ""
    handle: str = ""


def read_json(path: Path) -> Json:
    """An object in a file; empty where there is no file.

    Raises:
        JobFailed: kind `corrupt` where it is something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise JobFailed("corrupt", f"{path.name} is no JSON object.", "Fetch the model again.")
    return found


def read_speaker(folder: Path) -> Speaker:
    """The name and handle of a huggingtweets card."""
    path = folder / CARD
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    match = _HUGGINGTWEETS_NAME.search(card) if "huggingtweets" in card else None
    if match is None:
        return Speaker()
    name = html.unescape(_ROBOT.sub("", match[1])).strip()
    return Speaker("".join(letter for letter in name if letter.isprintable())[:_MAX_NAME], match[2])


def read_sampling(folder: Path) -> Sampling:
    """How the model wants to speak: `generation_config.json`, else `task_specific_params`, else as all do."""
    tasks = read_json(folder / CONFIG).get("task_specific_params")
    of_old = tasks.get("text-generation") if isinstance(tasks, dict) else None
    given: Json = {**(of_old if isinstance(of_old, dict) else {}), **read_json(folder / GENERATION_CONFIG)}
    return sane(
        {
            "temperature": given.get("temperature"),
            "top_k": given.get("top_k"),
            "top_p": given.get("top_p"),
            "min_tokens": given.get("min_length"),
            "max_tokens": given.get("max_length"),
        }
    )


def sane(given: Mapping[str, object]) -> Sampling:
    """A sampling of the values that make sense, and the usual ones for the rest."""
    usual = Sampling()
    most = _whole(given.get("max_tokens"), 8, 4096, usual.max_tokens)
    return Sampling(
        temperature=_number(given.get("temperature"), 0.05, 5.0, usual.temperature),
        top_k=_whole(given.get("top_k"), 0, 1_000_000, usual.top_k),
        top_p=_number(given.get("top_p"), 0.01, 1.0, usual.top_p),
        min_tokens=_whole(given.get("min_tokens"), 0, most, min(usual.min_tokens, most)),
        max_tokens=most,
    )


def _number(value: object, least: float, most: float, usual: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    return float(value) if fits and isinstance(value, int | float) else usual


def _whole(value: object, least: int, most: int, usual: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else usual
