"""What a clone's message shows at each moment of its life: facts in, an embed out. Nothing is sent from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import discord

from bot.cloning import Update
from bot.gateways.discord.lengths import cut, units
from bot.gateways.printable import printable, without_folders
from bot.gateways.text import another_account, duration
from bot.guard.unsaid import holds
from storage.clones import Clone
from trainer.protocol import Compared, Counted, Evaluated, Judged, Sample, Step, Warned

BAR = 20
SAMPLES_AT_THE_END = 5
_SAMPLES_ON_THE_WAY = 3
_SAMPLE_UNITS = (200, 150)
_FINAL_SAMPLE_UNITS = (400, 300, 250, 200, 150, 95)
"""Each sample is cut to the first of these with which all of them fit; escaped markup takes twice its room."""
PICTURE = "predictions.png"
_FIELD_UNITS = 1_024
"""Discord takes no more in a field's value."""
ENDED = ("ready", "failed", "cancelled")

_COLOURS = {
    "queued": discord.Colour.light_grey(),
    "collecting": discord.Colour.blue(),
    "training": discord.Colour.blurple(),
    "ready": discord.Colour.green(),
    "failed": discord.Colour.red(),
    "cancelled": discord.Colour.dark_grey(),
}


@dataclass(slots=True)
class ClonePage:
    """What is known of a clone; rebuilt from the database after a restart, but for what only its trainer repeats."""

    clone: Clone
    handle: str
    ahead: int = 0
    """How many come first, while it is in line."""
    note: str = ""
    """Why it waits."""
    begins_at: datetime | None = None
    """About when it is its turn, as far as can be said."""
    posts: int | None = None
    """That were read."""
    step: Step | None = None
    measuring: bool = False
    """The steps are done, and its samples are judged."""
    warnings: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    """The newest last."""
    unsaid: tuple[str, ...] = ()
    """What the persona never says on Discord."""

    @property
    def has_ended(self) -> bool:
        return self.clone.state in ENDED

    def hear(self, update: Update) -> None:
        """Take in what happened."""
        self.clone, self.handle, self.note = update.clone, update.handle, update.note
        if update.imported is not None:
            added = update.imported
            self.posts = added.new + added.updated + added.unchanged
            if added.of_another:
                self.warnings.append(another_account(added.of_another, self.handle))
        match update.event:
            case Counted() as counted:
                self.warnings += [counted.warning] if counted.warning else []
            case Step() as step:
                self.step, self.measuring = step, False
            case Evaluated(stage="after") | Compared() | Judged():
                self.measuring = True
            case Sample() as sample:
                self.samples = [*self.samples, sample.text][-_SAMPLES_ON_THE_WAY:]
            case Warned() as warned:
                self.warnings.append(f"{warned.message} {warned.hint}".strip())

    def embed(self, *, picture: bool = False, figures: Sequence[str] = ()) -> discord.Embed:
        """The page; with `picture`, its predictions are attached, and `figures` say how good a finished one is."""
        shown = discord.Embed(
            title=cut(f"@{discord.utils.escape_markdown(self.handle)}, version {self.clone.version}", 256),
            description=cut("\n".join(self._story(figures)), 2_000),
            colour=_COLOURS[self.clone.state],
        )
        limits = _FINAL_SAMPLE_UNITS if self.clone.state == "ready" else _SAMPLE_UNITS
        samples = [text for text in self.samples if not holds(text, self.unsaid)]
        if samples and self.clone.state in ("training", "ready"):
            title = "It says" if self.clone.state == "ready" else "It practises"
            shown.add_field(name=title, value=_quoted(samples, limits), inline=False)
            shown.set_footer(text=f"A bot imitating @{cut(self.handle, 64)}: made up, not said by them.")
        if self.warnings and not self.has_ended:
            shown.add_field(name="Mind", value=cut(_plain(self.warnings[-1]), _FIELD_UNITS), inline=False)
        if picture:
            shown.set_image(url=f"attachment://{PICTURE}")
        return shown

    def _story(self, figures: Sequence[str]) -> list[str]:
        clone = self.clone
        match clone.state:
            case "queued":
                return [self.note or self._place(), *(["It goes on where it was."] if clone.attempts else [])]
            case "collecting":
                read = "Reading the posts …" if self.posts is None else f"{self.posts:,} posts read."
                return [read, *([self.note] if self.note else [])]
            case "training":
                return [*self._counted(), *self._training()]
            case "ready" if clone.spoke_at is None:
                again = f"`/rollback {self.handle} {clone.version}` lets it speak all the same."
                return [f"Ready, and does not speak. {_plain(clone.verdict)}", *figures, again]
            case "ready":
                return ["Ready: talk to it." + (f" {_plain(clone.verdict)}" if clone.verdict else ""), *figures]
            case "failed":
                return [
                    _plain(clone.error_message or "It failed."),
                    *([_plain(clone.error_hint)] if clone.error_hint else []),
                ]
            case "cancelled":
                return ["Cancelled."]

    def _place(self) -> str:
        if not self.ahead:
            return "In line: it is next."
        others = "one other comes" if self.ahead == 1 else f"{self.ahead} others come"
        # Each reader's Discord counts down by itself, where nothing is edited until the line moves.
        wait = "" if self.begins_at is None else f" It begins about {discord.utils.format_dt(self.begins_at, 'R')}."
        return f"In line: {others} first.{wait}"

    def _counted(self) -> list[str]:
        counts = self.clone.counts
        if counts is None:
            return [] if self.posts is None else [f"{self.posts:,} posts read."]
        heldout = f", {counts.heldout_posts:,} kept aside to measure on" if counts.heldout_posts else ""
        return [f"{counts.downloaded:,} posts, {counts.train_posts:,} to learn from{heldout}."]

    def _training(self) -> list[str]:
        if self.measuring:
            return [f"`{'▰' * BAR}` Learned. Now it is measured …"]
        if self.step is None or not self.step.of:
            return ["Learning …"]
        done = round(BAR * self.step.step / self.step.of)
        bar = "▰" * done + "▱" * (BAR - done)
        share = f"{self.step.step / self.step.of:.0%}"
        return [f"`{bar}` {share}", f"loss {self.step.loss:.2f}, ready in about {duration(self.step.eta_s)}"]


def _plain(text: str) -> str:
    """Text of others as a reader sees it: no markup, no line of its own, and no folder of this machine."""
    return discord.utils.escape_markdown(" ".join(printable(without_folders(text)).split()))


def _quoted(texts: Sequence[str], limits: Sequence[int]) -> str:
    """A field's value with a line for each text, none of which takes another's place."""
    lines = [" ".join(printable(text).split()) for text in texts]
    said = ""
    for limit in limits:
        said = "\n".join(f"> {discord.utils.escape_markdown(cut(line, limit))}" for line in lines)
        if units(said) <= _FIELD_UNITS:
            break
    return cut(said, _FIELD_UNITS)
