"""Recipes as data: what is learned, how, and how the result speaks.

A recipe is what differs from the defaults of `Recipe`. Both are light to import: the bot lists them by name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Sampling(BaseModel):
    """How a clone speaks; the defaults are huggingtweets' published generation settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, gt=0, le=10)
    top_k: int = Field(default=50, ge=0)
    """0 takes every token."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    min_tokens: int = Field(default=10, ge=0)
    max_tokens: int = Field(default=160, ge=2)
    """Both count the prompt."""

    @model_validator(mode="after")
    def _has_room(self) -> Sampling:
        if self.min_tokens >= self.max_tokens:
            raise ValueError(f"min_tokens ({self.min_tokens}) should be less than max_tokens ({self.max_tokens})")
        return self


class Recipe(BaseModel):
    """How posts become weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    method: Literal["lora", "full"]

    # data
    newest: int | None = Field(default=None, gt=0)
    """Only so many of the newest posts; None takes all."""
    dedupe: bool = True
    forms_once: bool = False
    """Of posts that share eight words in a row, learn the newest only: people's apps fill forms with other numbers, and
    a clone that hears a form often fills it too."""
    drop_quotes: bool = True
    """Leave out what is quoted by hand (`"@someone: …"`): it is kept and counted, but not the person's voice."""
    tidy_links: bool = True
    """Remove picture links too, and the dash or arrow that pointed at a link."""
    sequential_unescape: bool = False
    """huggingtweets unescapes entities one after another, so `&amp;lt;` becomes `<`."""
    heldout: bool = True
    """Keep the newest tenth aside, never trained on, and report quality on it."""
    layout: Literal["packed", "blocks"] = "packed"
    """packed: whole posts in a row, none sees another. blocks: one stream of posts cut every `block_tokens` tokens."""
    block_tokens: int = Field(default=1024, ge=2)
    row_tokens: int = Field(default=192, ge=1)
    """Tokens of posts in one optimizer step of a packed recipe."""
    epochs: int = Field(default=1, ge=1, le=1000)

    # optimizer
    learning_rate: float = Field(gt=0)
    schedule: Literal["linear", "cosine"] = "linear"
    warmup: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """How long AdamW remembers the direction of gradients."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """How long AdamW remembers the size of gradients."""
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["auto", "fp32"] = "auto"

    # LoRA
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    first_layer: int = Field(default=0, ge=0)
    """Adapters from this layer of the base on; 0 is on all of them."""

    # stop
    evaluations: int = Field(default=5, ge=0)
    """Held-out evaluations over the training; the best one's weights are kept."""
    patience: int = Field(default=3, ge=0)
    """Evaluations without a better one before it stops; 0 never stops early."""

    sampling: Sampling = Sampling()


MYNAH = Recipe(
    name="mynah",
    summary="LoRA on every linear layer, whole posts, stopped and kept by held-out bits per byte.",
    method="lora",
    forms_once=True,
    learning_rate=1.5e-3,
    warmup=0.1,  # without it, 2e-3 broke out for dozens of steps on one of two accounts (loss 7)
    beta1=0.8,  # with 0.9, ten steps in one direction, some accounts overshoot while the rate is high
    beta2=0.99,  # a training is about a hundred steps: 0.999 remembers the first, when adapters hardly had a gradient
)

HUGGINGTWEETS = Recipe(
    name="huggingtweets",
    summary="The original: all weights, four shuffled epochs in blocks of 1,024 tokens, fp32, no held-out posts.",
    method="full",
    dedupe=False,
    drop_quotes=False,
    tidy_links=False,
    sequential_unescape=True,
    heldout=False,
    layout="blocks",
    epochs=4,
    learning_rate=1.372e-4,
    schedule="cosine",
    precision="fp32",
    evaluations=0,
    patience=0,
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (MYNAH, HUGGINGTWEETS)}
