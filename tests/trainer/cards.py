"""Facts for cards, and cards as a reader sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from trainer.card_facts import CardFacts, Example, Person
from trainer.recipes import MYNAH
from trainer.report import Authorship, Estimate, NearestSource, QualityReport, SampleReport, Yardstick

READER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
"""More willing than card.html's own: raw HTML, strikethrough and tables are all markup to it."""


def person(handle: str = "andreruffert", **changes: Any) -> Person:
    """Somebody with the counts of RECIPE.md's test vector."""
    counts = {"downloaded": 3247, "reposts": 34, "short": 501, "kept": 2712, "characters": 203_456}
    return Person.model_validate({"handle": handle, "source": "X archive", **counts, **changes})


def card_facts(*people: Person, **changes: Any) -> CardFacts:
    """A clone of one person, not evaluated, unless told otherwise."""
    everybody = people or (person(),)
    facts: dict[str, Any] = {
        "handle": everybody[0].handle,
        "people": everybody,
        "version": 3,
        "created_at": datetime(2026, 11, 24, 18, tzinfo=UTC),
        "base": "smollm2-135m",
        "base_hash": "b179c952",
        "method": "lora",
        "recipe": MYNAH,
        "seed": 42,
        "train_posts": 2441,
        "heldout_posts": 271,
    }
    return CardFacts.model_validate({**facts, **changes})


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=round(value - 0.01, 4), high=round(value + 0.01, 4))


def quality(**changes: Any) -> QualityReport:
    """A clone that was evaluated in full."""
    real = Yardstick(
        posts=200,
        copy_rate=estimate(0.02),
        distinct_1=estimate(0.63),
        distinct_2=estimate(0.94),
        distinct_3=estimate(0.98),
        self_bleu=estimate(0.11),
    )
    samples = SampleReport(
        samples=200,
        copy_rate=estimate(0.01),
        nearest=(
            NearestSource(sample="copied word by word", source="copied word by word", words=4, share=1, copied=True),
        ),
        distinct_1=estimate(0.61),
        distinct_2=estimate(0.93),
        distinct_3=estimate(0.97),
        self_bleu=estimate(0.12),
        style_distance=estimate(0.31),
        style_distance_self=estimate(0.02),
        authorship=Authorship(
            personas=("andreruffert", "dril"),
            real=estimate(0.81),
            real_fives=estimate(0.99),
            samples=estimate(0.77),
            sample_fives=estimate(0.96),
        ),
        real=real,
    )
    report: dict[str, Any] = {
        "heldout_posts": 271,
        "bits_per_byte_base": estimate(2.52),
        "bits_per_byte": estimate(1.79),
        "samples": samples,
    }
    return QualityReport.model_validate({**report, **changes})


def examples(*texts: str) -> tuple[Example, ...]:
    return tuple(Example(prompt="", text=text) for text in texts)


def corpus(folder: Path, *lines: str) -> Path:
    """A file of such lines."""
    path = folder / "corpus.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Page:
    """A card's Markdown, as a Markdown reader takes it."""

    tokens: list[Token]

    @classmethod
    def of(cls, body: str) -> Page:
        return cls(READER.parse(body))

    @property
    def structure(self) -> list[str]:
        """Every block and mark of it, without what it says."""
        inline = [child.type for token in self.tokens for child in token.children or () if child.type != "text"]
        return [token.type for token in self.tokens] + inline

    @property
    def headings(self) -> list[str]:
        return self._after("heading_open")

    @property
    def cells(self) -> list[str]:
        return self._after("th_open", "td_open")

    @property
    def rows(self) -> list[list[str]]:
        rows: list[list[str]] = []
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            if before.type == "tr_open":
                rows.append([])
            if before.type in ("th_open", "td_open"):
                rows[-1].append(_seen(token))
        return rows

    @property
    def links(self) -> list[str]:
        children = (child for token in self.tokens for child in token.children or ())
        return [str(child.attrGet("href")) for child in children if child.type == "link_open"]

    @property
    def text(self) -> str:
        return "\n".join(_seen(token) for token in self.tokens if token.type in ("inline", "fence"))

    def _after(self, *opening: str) -> list[str]:
        return [
            _seen(token) for before, token in zip(self.tokens, self.tokens[1:], strict=False) if before.type in opening
        ]


def _seen(token: Token) -> str:
    """What a reader sees of a block: text, and the source of what is no text."""
    if token.children is None:
        return token.content
    breaks = {"softbreak": " ", "hardbreak": " "}
    return "".join(breaks.get(child.type, child.content) for child in token.children)
