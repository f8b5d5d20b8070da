"""Draw a card's pictures with Typst: it shapes every script, breaks lines and places emoji; no text becomes markup.

The drawings are in `trainer/templates/*.typ`, and take what they show from one JSON file. Fonts are those shipped in
`trainer/pictures/fonts`, so that a card looks the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typst

from trainer.card_facts import CardFacts, Example, Person
from trainer.pictures.portrait import BadPicture, write_portrait
from trainer.wording import initials, one_line, right_to_left, shorten

FONTS = Path(__file__).parent / "fonts"
DRAWINGS = Path(__file__).parents[1] / "templates"
PICTURES = {"portrait.typ": "avatar.png", "pipeline.typ": "pipeline.png", "predictions.typ": "predictions.png"}

CARDS = 4
CARD_CHARACTERS = 280
GOOD_CHARACTERS = range(25, 150)
"""A sample of such a length says something, and can be read at a glance."""
NAME_CHARACTERS = 60
_STEP = 40
"""Characters by which samples are further from a good length."""

Stage = tuple[str, ...]
"""Lines under one step of the pipeline."""


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    rtl: bool


@dataclass(frozen=True, slots=True)
class _Sample:
    prompt: str
    text: str
    rtl: bool


@dataclass(frozen=True, slots=True)
class _Portrait:
    initials: str
    hue: int
    picture: str | None


@dataclass(frozen=True, slots=True)
class _Facts:
    name: _Text
    handles: str
    people: tuple[_Portrait, ...]
    samples: tuple[_Sample, ...]
    stages: tuple[Stage, ...]


def draw(facts: CardFacts, stages: tuple[Stage, ...], folder: Path, warn: Callable[[str], None]) -> None:
    """Write avatar.png, pipeline.png and predictions.png; a portrait that cannot be used is told and left out."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for drawing in DRAWINGS.glob("*.typ"):
            shutil.copy(drawing, root)
        shown = _Facts(
            name=_directed(shorten(facts.name, NAME_CHARACTERS)),
            handles=shorten(facts.handles, NAME_CHARACTERS),
            people=tuple(_portrait(person, root / f"{n}.png", warn) for n, person in enumerate(facts.people)),
            samples=tuple(_sample(example) for example in best_examples(facts.new_examples)),
            stages=stages,
        )
        (root / "facts.json").write_text(json.dumps(asdict(shown)), encoding="utf-8")
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])
        for drawing_name, picture in PICTURES.items():
            typst.compile(root / drawing_name, output=folder / picture, root=root, font_paths=fonts, ppi=72)


def best_examples(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """Those to show: first what can be read at a glance, then what is nearest to it, each prompt in turn."""

    def farness(example: Example) -> int:
        text = one_line(example.text)
        promises = _STEP if text.endswith((":", ",")) else 0  # what followed was a link
        return max(GOOD_CHARACTERS.start - len(text), len(text) - GOOD_CHARACTERS.stop, 0) + promises

    ranked: list[tuple[int, int, int, Example]] = []
    seen: dict[str, int] = {}
    for place, example in enumerate(sorted(examples, key=farness)):
        turn = seen[example.prompt] = seen.get(example.prompt, -1) + 1
        ranked.append((farness(example) // _STEP, turn, place, example))
    return tuple(example for *_, example in sorted(ranked, key=lambda entry: entry[:3]))[:CARDS]


def _directed(text: str) -> _Text:
    return _Text(text, right_to_left(text))


def _sample(example: Example) -> _Sample:
    """Its prompt apart, so that it can be told from what was made up; whole words only, or letters would not join."""
    text, prompt = shorten(example.text, CARD_CHARACTERS), one_line(example.prompt)
    rest = text.removeprefix(prompt)
    if not prompt or rest == text or rest[:1].isalnum():
        prompt, rest = "", text
    return _Sample(prompt, rest, right_to_left(text))


def _portrait(person: Person, target: Path, warn: Callable[[str], None]) -> _Portrait:
    hue = int.from_bytes(hashlib.sha256(person.handle.encode()).digest()[:2]) % 360
    picture = None
    if person.picture is not None:
        try:
            write_portrait(person.picture, target)
            picture = target.name
        except BadPicture as problem:
            warn(f"The picture of @{one_line(person.handle)} was left out: {problem}.")
    return _Portrait(initials(one_line(person.display_name), person.handle), hue, picture)
