"""What is measured of a clone and of posts: types only, light to import, the same in bot, trainer and card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Report):
    """A figure and its 95 % confidence interval, by bootstrap."""

    value: float
    low: float
    high: float


class NearestSource(_Report):
    """A sample, and the training post that it has most in common with."""

    sample: str
    source: str
    words: int
    """Longest run of words in common."""
    share: float
    """That run, as a share of the sample's words."""
    copied: bool
    """A run of 8 words or more, or 80 % of the sample."""


class Authorship(_Report):
    """Who said it: a classifier that knows the personas at hand names the author. Shares of right answers, 0 to 1."""

    personas: tuple[str, ...]
    real: Estimate
    """On single held-out posts of this person."""
    real_fives: Estimate
    """On five of them at a time."""
    samples: Estimate
    sample_fives: Estimate


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
    style_distance: Estimate
    """Between samples and held-out posts."""
    style_distance_self: Estimate
    """Between two halves of the person's own posts: what no clone can be expected to undercut."""
    authorship: Authorship | None = None
    """None without other personas to tell apart."""


class QualityReport(_Report):
    """All that is measured of a finished clone. Bits per byte are computed in fp32; None without held-out posts."""

    heldout_posts: int
    bits_per_byte_base: Estimate | None
    bits_per_byte: Estimate | None
    samples: SampleReport | None


class Change(_Report):
    """A measure of posts, before and now."""

    name: str
    before: float
    now: float


class DriftReport(_Report):
    """What changed in a person's posts since the version before."""

    old_posts: int
    new_posts: int
    changes: tuple[Change, ...]
    """Length, casing, punctuation, emoji, hashtags, mentions, …"""
    style_distance: Estimate
    """Between old and new posts; beside it, between two halves of the old ones."""
    style_distance_self: Estimate
    rising: tuple[str, ...]
    """Words that set the new posts apart, the strongest first."""
    fading: tuple[str, ...]
