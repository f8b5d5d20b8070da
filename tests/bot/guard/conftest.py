"""A persona whose next words a test decides, behind the real guard on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio

from bot import config
from bot.drafts import Drafts
from bot.errors import VoiceError
from bot.guard import Guard, Guarded
from bot.guard.reranker import Reranker
from bot.settings import Settings
from bot.speakers import Ready, Speakers
from bot.voice.base import Heard, Speaker, ignore
from bot.voice.service import Voice
from storage import clones, personas, posts
from storage.database import Writer
from storage.personas import Persona
from storage.posts import Post
from storage.weights import Model
from trainer.recipes import MYNAH, Sampling

POSTS = (
    "the quiet harbour town wakes up slowly when the first ferry comes around the lighthouse",
    "I walked along the pier in the morning and it was a good day for the ships",
)


class Scripted(Voice):
    """Says what a test wrote down, a batch a request."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str] | VoiceError] = []
        self.seeds: list[int] = []
        self.heard: list[tuple[str, ...]] = []

    async def speak(
        self,
        speaker: Speaker,
        prompt: str,
        count: int,
        seed: int,
        sampling: Sampling,
        timeout_s: float = 60.0,
        context: Sequence[str] = (),
        heard: Heard = ignore,
    ) -> list[str]:
        self.seeds.append(seed)
        self.heard.append(tuple(context))
        batch = self.batches.pop(0)
        if isinstance(batch, VoiceError):
            raise batch
        texts = batch[:count]
        for text in [*texts[:1], *texts]:  # as after a worker that died and one that began anew
            heard(text)
        return texts


class OneSpeaker(Speakers):
    ready: Ready

    async def find(self, handle: str) -> Ready:
        return self.ready

    async def speaker(self, ready: Ready) -> Speaker:
        return Speaker(key="ada")


@dataclass
class Home:
    """Everything that a test of the guard reaches for."""

    settings: Settings
    store: Writer
    voice: Scripted
    guard: Guard
    guarded: Guarded
    drafts: Drafts
    ada: Persona
    ready: Ready
    woken: list[bool] = field(default_factory=list)
    now: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def guarded_home(tmp_path: Path) -> AsyncIterator[Home]:
    settings = config.load(None, {"MYNAH_DATA_DIR": str(tmp_path)})
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    ada = await store.run(personas.ensure, "ada")
    await store.run(posts.add, ada.id, [Post("csv", str(at), "ada", None, text) for at, text in enumerate(POSTS)])
    clone = await store.run(clones.enqueue, ada.id, "mynah", "{}", "gpt2", 1, "test", None)
    speakers = OneSpeaker(settings, store)
    speakers.ready = Ready(ada, clone, Model(clone.id, "lora", "gpt2", "b2:0", clone.created_at), MYNAH)
    voice, guard, reranker = Scripted(), Guard(settings, store), Reranker(settings, store)
    guarded = Guarded(settings, store, speakers, voice, guard, reranker)
    woken: list[bool] = []
    home = Home(settings, store, voice, guard, guarded, None, ada, speakers.ready, woken)  # type: ignore[arg-type]
    home.drafts = Drafts(settings, store, guard, guarded, reranker, lambda: woken.append(True), lambda: home.now)
    yield home
    await store.close()
