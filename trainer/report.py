"""What is measured of a clone and of posts: types only, light to import, the same in bot, trainer and card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Report):
    """A figure and its 95 % confidence interval, by bootstrap."""

    value: float
    low: float
    high: float


class NearestSource(_Report):
    """A sample, and the training post that it shares the longest run of words with; "" where it shares none."""

    sample: str
    source: str
    words: int
    """Longest run of words in common; the prompt's do not count."""
    share: float
    """That run, as a share of the sample's words."""
    copied: bool
    """A run of 8 words or more, or 80 % of the sample; of a sample under 3 words, a whole training post."""


class Authorship(_Report):
    """Who said it: a classifier that knows the personas at hand names the author. Shares of right answers, 0 to 1."""

    personas: tuple[str, ...]
    real: Estimate
    """On single held-out posts of this person."""
    real_fives: Estimate
    """On five of them at a time."""
    samples: Estimate
    """On the clone's samples, single."""
    sample_fives: Estimate
    mistaken: Estimate | None = None
    """Share of other people's newest posts that it takes for this person's."""


class Yardstick(_Report):
    """The same measures of real held-out posts, as many as there are samples: what a clone's figures are read beside.

    People repeat themselves too: where theirs is above 0, a clone's copy rate need not be 0.
    """

    posts: int
    copy_rate: Estimate
    distinct_1: Estimate
    distinct_2: Estimate
    distinct_3: Estimate
    self_bleu: Estimate


class SampleReport(_Report):
    """What a clone's samples are like, beside the posts that it learned from and those held out."""

    samples: int
    copy_rate: Estimate
    """Share of samples copied from the training posts, 0 to 1."""
    nearest: tuple[NearestSource, ...]
    """The ten samples nearest to a training post, nearest first."""
    distinct_1: Estimate
    distinct_2: Estimate
    distinct_3: Estimate
    self_bleu: Estimate
    """0 to 1; higher says that samples resemble each other."""
    style_reference: Literal["heldout", "train"] = "heldout"
    """What the samples' style is compared with: training posts, where too few were held out."""
    style_distance: Estimate
    """Between samples and those posts, 0 (the same style) to 1."""
    style_distance_self: Estimate
    """Between two random halves of the person's own posts: about 0, and what lies below `high` is chance."""
    style_distance_train: Estimate | None = None
    """Between the posts that it learned from and held-out ones: how much the person changed meanwhile."""
    authorship: Authorship | None = None
    """None without other personas to tell apart."""
    real: Yardstick | None = None
    """None where too few posts were held out."""


class QualityReport(_Report):
    """All that is measured of a finished clone. Bits per byte are computed in fp32; None without held-out posts."""

    heldout_posts: int
    bits_per_byte_base: Estimate | None
    bits_per_byte: Estimate | None
    samples: SampleReport | None


class Change(_Report):
    """A measure of posts, the mean of each set."""

    name: str
    """In plain words; counts are a post's."""
    before: float
    now: float
    effect: float = 0.0
    """The difference in standard deviations of posts (Cohen's d): 0.2 is small, 0.5 medium, 0.8 large."""


class DriftReport(_Report):
    """What changed in a person's posts since the version before."""

    old_posts: int
    new_posts: int
    changes: tuple[Change, ...]
    """Length, casing, punctuation, emoji, hashtags, mentions, …; the largest effect first."""
    style_distance: Estimate
    """Between old and new posts; beside it, between two halves of the old ones."""
    style_distance_self: Estimate
    rising: tuple[str, ...]
    """Words that set the new posts apart, the strongest first."""
    fading: tuple[str, ...]


class RerankReport(_Report):
    """A logistic regression on named figures of a text, and how well it foresees choices that it has not seen."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    """Of each figure, in its standard deviations."""
    intercept: float
    choices: int
    accuracy: Estimate
    chance: float
    """The share of right answers of always saying the commoner one."""
    used: bool
    """Whether the low end of the accuracy's interval is above chance."""

    def score(self, figures: Sequence[float]) -> float:
        """How likely a text is to be chosen, as log odds."""
        rows = zip(figures, self.mean, self.scale, self.weights, strict=True)
        return self.intercept + sum((figure - mean) / scale * weight for figure, mean, scale, weight in rows)
