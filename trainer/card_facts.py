"""What a model card tells: types only, light to import. The bot knows the facts; `trainer.card` makes the page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from trainer.recipes import Recipe
from trainer.report import DriftReport, QualityReport
from trainer.wording import one_line


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(_Facts):
    """Somebody whose posts were learned from; a blend has several."""

    handle: str
    display_name: str = ""
    """As they write it, whatever that holds; empty where unknown."""
    picture: Path | None = None
    """A picture file of theirs, untrusted; None where there is none."""
    source: str = ""
    """Where the posts came from, as a reader understands it: "X archive", "CSV file"."""
    consent: str = ""
    """On what ground they are used; empty where nothing is recorded."""
    downloaded: int
    reposts: int
    short: int
    kept: int
    characters: int
    share: float = 1.0

    @property
    def name(self) -> str:
        """What to call them on a line: their display name, or else their handle."""
        return one_line(self.display_name) or one_line(self.handle)


class Run(_Facts):
    """A W&B run; offline where it has no url."""

    job_type: str
    run_id: str
    url: str = ""


class Example(_Facts):
    prompt: str
    text: str
    """Begins with the prompt."""


class CardFacts(_Facts):
    """One version of one persona."""

    handle: str
    people: tuple[Person, ...]
    version: int
    created_at: datetime
    base: str
    base_hash: str
    base_licence: str = ""
    method: str
    """lora or full."""
    recipe: Recipe
    seed: int
    device: str = ""
    train_posts: int
    heldout_posts: int
    duplicates: int = 0
    quoted: int = 0
    warning: str = ""
    report: QualityReport | None = None
    drift: DriftReport | None = None
    runs: tuple[Run, ...] = ()
    examples: tuple[Example, ...] = ()
    contact: str = ""
    """Whom to write to for removal; empty where the owner has named nobody."""
    repo: str = ""
    """Its name on the Hub, once it is pushed."""

    @property
    def name(self) -> str:
        """What to call the persona on a line; a blend by everybody's name."""
        return " × ".join(person.name for person in self.people)

    @property
    def made_here(self) -> bool:
        """Whether it learned here, so that its posts and recipe are known; a model that was adopted did not."""
        return any(person.downloaded for person in self.people)

    @property
    def handles(self) -> str:
        """Whom it learned from: "@a", or "@a × @b" for a blend."""
        return " × ".join(f"@{one_line(person.handle)}" for person in self.people)

    @property
    def new_examples(self) -> tuple[Example, ...]:
        """Examples with words in them, each once, without those known to repeat a training post."""
        samples = self.report.samples if self.report else None
        copied = {one_line(near.sample) for near in samples.nearest if near.copied} if samples else set()
        told = {one_line(example.text): example for example in reversed(self.examples)}
        return tuple(example for text, example in reversed(told.items()) if text and text not in copied)
