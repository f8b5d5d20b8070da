"""`make bench-voice-quality`: what the voice speaks with is what was trained.

For three clones of MYNAH_DATA_DIR: held-out bits per byte through the voice (llama.cpp's own log probabilities, the
quantised base with the adapter on) against torch in fp32 on the same texts.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.report import QUICK, Figure, Report
from bot import config
from bot.data_folder import DataFolder
from bot.errors import NotFound
from bot.launchers import local
from bot.settings import Settings
from bot.speakers import Ready, Speakers
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from storage import clones, learning
from storage.database import Reader, Store
from storage.errors import MynahError
from trainer.protocol import Evaluated, ScoreJob

CLONES = 3
TEXTS = 10 if QUICK else 120
WITHIN = 0.01
CONTEXT_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Scored:
    """Bits per byte of one clone's held-out posts, both ways."""

    handle: str
    voice: float
    torch: float

    @property
    def difference(self) -> float:
        return self.voice / self.torch - 1


async def main(handles: list[str]) -> int:
    """Measure the named clones, or the first three that are ready."""
    settings = config.load(config.find(Path.cwd()), os.environ)
    report = Report("voice-quality", {"clones": CLONES, "texts a clone, at most": TEXTS, "base": settings.base_model})
    store = Reader(DataFolder(settings.data_dir).database)
    await store.start()
    try:
        if not handles:
            ready = [model for model in await store.run(clones.overview) if model.is_current]
            handles = [model.handle for model in sorted(ready, key=lambda model: model.bundled)][:CLONES]
        if len(set(handles)) < CLONES:
            raise NotFound(f"{CLONES} ready clones are needed, and there are {len(set(handles))}.", "Clone some more.")
        speakers = Speakers(settings, store)
        scored = [await _score(settings, store, speakers, handle, report) for handle in handles]
    finally:
        await store.close()
    return report.conclude(
        [
            Figure(
                f"bits per byte through the voice above torch's, @{one.handle}",
                100 * one.difference,
                "%",
                f"within {WITHIN:.0%}",
                abs(one.difference) <= WITHIN,
            )
            for one in scored
        ]
    )


async def _score(settings: Settings, store: Store, speakers: Speakers, handle: str, report: Report) -> Scored:
    ready = await speakers.find(handle)
    corpus = await store.run(lambda db: list(learning.corpus(db, ready.clone.id)))
    texts = [post.text for post in corpus if post.split == "heldout"]
    return await compared(settings, speakers, ready, texts, report)


async def compared(settings: Settings, speakers: Speakers, ready: Ready, texts: list[str], report: Report) -> Scored:
    """Score texts both ways, as many as there is time for. Raises NotFound where there are none, or no adapter."""
    texts, handle = texts[:TEXTS], ready.persona.handle
    size_bytes = sum(len(text.encode()) for text in texts)
    speaker = await speakers.speaker(ready)
    if not texts or speaker.adapter is None:
        raise NotFound(f"@{handle} has no held-out posts, or no adapter for the voice.", "Name other clones.")
    async with Voice(VoiceSettings(slots=2, context_tokens=CONTEXT_TOKENS, threads=os.cpu_count() or 1)) as voice:
        scores = await voice.logprobs(speaker, texts)
    nats = -sum(score.nats + score.end_nats for score in scores)
    torch = await _torch_bits(settings, ready, speaker.adapter, texts)
    result = Scored(handle, nats / math.log(2) / size_bytes, torch)
    report.say(f"@{handle}: {len(texts)} posts, {size_bytes} bytes: voice {result.voice:.4f}, torch {result.torch:.4f}")
    return result


async def _torch_bits(settings: Settings, ready: Ready, adapter: Path, texts: list[str]) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "texts.jsonl"
        _write(file, texts)
        job = ScoreJob(
            job_id="bench",
            base=ready.model.base,
            cache_dir=DataFolder(settings.data_dir).cache,
            parent_pid=os.getpid(),
            nice=0,
            weights_dir=adapter,
            texts=file,
        )
        events = await local.errand(job, Path(scratch) / "log")
    return next(event.bits_per_byte for event in events if isinstance(event, Evaluated))


def _write(file: Path, texts: list[str]) -> None:
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main([handle.lstrip("@") for handle in sys.argv[1:]])))
    except MynahError as error:
        sys.exit(str(error))
