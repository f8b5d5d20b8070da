"""What every engine of the voice understands: who speaks, what is asked, what comes back.

Light to import: the bot's own process uses these types, and so does the worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.errors import VoiceError
from trainer.recipes import Sampling

END_OF_TEXT = "<|endoftext|>"
"""Separates posts in every base that Mynah trains; found in a vocabulary by this text, never by a default."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice as files. llama.cpp speaks `base`, with `adapter` on it; the plain engine speaks `model`."""

    key: str
    base: Path | None = None
    """A .gguf file."""
    adapter: Path | None = None
    """A folder as peft writes it: adapter_model.safetensors and adapter_config.json."""
    model: Path | None = None
    """A folder as transformers writes it, tokenizer included."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Ask a speaker for `count` different posts that go on from `prompt`; the same seed gives the same posts."""

    speaker: Speaker
    prompt: str
    count: int
    seed: int
    sampling: Sampling
    context: tuple[str, ...] = ()
    """What was said before, oldest first: each as a post of its own in front of the new one. As much as fits is heard,
    the newest first."""


@dataclass(frozen=True, slots=True)
class TextScore:
    """How likely a text is after `<|endoftext|>`, in natural logarithms."""

    nats: float
    """Log probability of the text's own tokens."""
    tokens: int
    end_nats: float
    """Log probability of the `<|endoftext|>` that closes the text; not part of `nats`."""


class UnsupportedSpeaker(VoiceError):
    """An engine cannot express this speaker; another one may."""


class Cancelled(VoiceError):
    """Nobody waits for this answer any more."""


Heard = Callable[[str], None]
"""Hears of each post as soon as it is written, in their order."""


def ignore(post: str) -> None:
    """For whoever waits for all of them."""


class Engine(Protocol):
    """Called from several threads at once; each call blocks until its answer is there."""

    def load(self, speaker: Speaker) -> None:
        """Make the speaker ready, so that its first answer need not wait. Raises as `speak` does."""

    def speak(self, utterance: Utterance, cancelled: threading.Event, heard: Heard = ignore) -> list[str]:
        """Posts that begin with the prompt: at least one, at most `count`, all different, without special tokens.

        Raises UnsupportedSpeaker, Cancelled, or VoiceError where the prompt is too long or nothing was said.
        """

    def logprobs(self, speaker: Speaker, texts: list[str], cancelled: threading.Event) -> list[TextScore]:
        """One score a text, in order. Raises UnsupportedSpeaker, Cancelled, or VoiceError for a text too long."""

    def close(self) -> None:
        """Let go of the models. No call may follow."""
