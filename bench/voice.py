"""`make bench-voice`: how soon a persona answers, alone and among many, beside `transformers.pipeline`, same model.

What is compared is measured in turns in one run. A reply goes on from a prompt for at most 40 tokens, or to the end of
the post, whichever comes first, here as there; a batch of the pipeline is done when its longest text is.
`python -m bench.voice PART…` measures some parts alone: peer, alone, crowd, quality, beside, flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench import voice_personas
from bench.report import MB, QUICK, REPOSITORY, Figure, Report, at_most
from bench.voice_peer import PRECISIONS, PROMPT
from bench.voice_quality import compared
from bot.app import voice_settings
from bot.bundled import bundled_handle, example_posts
from bot.data_folder import DataFolder
from bot.settings import Settings
from bot.speakers import Speakers
from bot.voice.base import Speaker
from bot.voice.service import Voice
from storage.database import Store, Writer
from trainer import catalog
from trainer.recipes import MYNAH, Sampling

REPEATS = 1 if QUICK else 3
ALONE = 3 if QUICK else 16
"""Replies that make up one measurement of a single caller."""
CALLERS = (1, 8, 32)
GOALS = {1: 5.0, 8: 2.5, 32: 2.5}
NEW_TOKENS = 40
PERSONAS = 100 if QUICK else 1000
REQUESTS = 40 if QUICK else 400
FLAT_REQUESTS = 200 if QUICK else 10_000
PROBES = 20 if QUICK else 200
ZIPF = 1.1
HELD_OUT = 40
PARTS = ("peer", "alone", "crowd", "quality", "beside", "flat")
SAMPLING = Sampling(min_tokens=0, max_tokens=NEW_TOKENS + 4)
"""The prompt is three tokens, and `<|endoftext|>` before it one."""
ONE_TOKEN = Sampling(min_tokens=0, max_tokens=5)


@dataclass(frozen=True, slots=True)
class Stage:
    """What every part needs."""

    report: Report
    settings: Settings
    store: Store
    speakers: Speakers
    handles: list[str]


async def main(parts: Sequence[str]) -> int:
    """Measure, and say what came of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings(data_dir=Path(folder))
        shape = voice_settings(settings)
        sizes = {"slots": shape.slots, "threads": shape.threads, "adapters kept": shape.adapters}
        sizes |= {"personas": PERSONAS, "rank": MYNAH.rank, "new tokens, at most": NEW_TOKENS}
        report = Report("voice", sizes)
        data = DataFolder(settings.data_dir)
        data.create()
        store = Writer(data.database)
        await store.start()
        try:
            handles = await store.run(voice_personas.install, PERSONAS)
            stage = Stage(report, settings, store, Speakers(settings, store), handles)
            measures = {"peer": _beside_peer, "alone": _alone, "crowd": _crowd, "quality": _quality}
            measures |= {"beside": _beside_training, "flat": _flat}
            figures = [figure for part in parts for figure in await measures[part](stage)]
        finally:
            await store.close()
        return report.conclude(figures)


async def _beside_peer(stage: Stage) -> list[Figure]:
    """Replies through Mynah and through the pipeline, in turns."""
    exported = stage.settings.data_dir / "exported"
    await stage.speakers.export(stage.handles[0], exported)
    speaker = await _speaker(stage, stage.handles[0])
    times: dict[tuple[str, int], list[float]] = {}
    async with Voice(voice_settings(stage.settings)) as voice:
        with _peer(exported) as peer:
            await voice.speak(speaker, PROMPT, 1, 0, SAMPLING)
            for repeat in range(REPEATS):
                for callers in CALLERS:
                    seed = 1000 * (repeat + 1)
                    rounds = ALONE if callers == 1 else 1
                    ours = [await _replies(voice, speaker, callers, seed + n) for n in range(rounds)]
                    times.setdefault(("Mynah", callers), []).append(statistics.mean(t for each in ours for t in each))
                    times.setdefault(("Mynah, the last", callers), []).append(statistics.mean(map(max, ours)))
                    for precision in PRECISIONS:
                        theirs = [await asyncio.to_thread(peer, precision, callers, seed + n) for n in range(rounds)]
                        times.setdefault((f"pipeline {precision}", callers), []).append(statistics.mean(theirs))
                    latest = ", ".join(f"{who} {took[-1]:.2f} s" for (who, at), took in times.items() if at == callers)
                    stage.report.say(f"turn {repeat + 1}, {callers} at once: {latest}")
    medians = {
        (who, callers): stage.report.measured(f"reply, {callers} at once, {who}", "s", values).median
        for (who, callers), values in times.items()
    }
    figures = []
    for callers in CALLERS:
        best = min(medians[f"pipeline {precision}", callers] for precision in PRECISIONS)
        ratio, goal = best / medians["Mynah", callers], GOALS[callers]
        claim = f"the better pipeline's reply time over Mynah's, {callers} at once"
        figures.append(Figure(claim, ratio, "", f">= {goal:g}", ratio >= goal))
    return figures


async def _alone(stage: Stage) -> list[Figure]:
    """One caller's share of what memory allows, and how long others wait for their first token and their reply."""
    speaker = await _speaker(stage, stage.handles[0])
    shares = []
    async with Voice(voice_settings(stage.settings)) as voice:
        await voice.speak(speaker, PROMPT, 1, 0, SAMPLING)
        for repeat in range(REPEATS):
            bandwidth = await asyncio.to_thread(_copy_bytes_a_second)
            began, texts = time.perf_counter(), []
            for number in range(ALONE):
                texts += await voice.speak(speaker, PROMPT, 1, 50_000 * repeat + number, SAMPLING)
            took = time.perf_counter() - began
            tokens = sum(score.tokens for score in await voice.logprobs(speaker, texts)) - 3 * len(texts)
            limit = bandwidth / _weight_bytes(speaker)
            stage.report.measured("memory copies", "GB/s", [bandwidth / 1e9])
            stage.report.measured("tokens a second, alone", "1/s", [tokens / took])
            shares.append(100 * tokens / took / limit)
        for callers in (1, 8):
            first, whole = await _waits(voice, speaker, callers)
            for what, values in (("first token", first), ("reply", whole)):
                stage.report.measured(f"to the {what}, p50, {callers} at once", "s", [_quantile(values, 0.5)])
                stage.report.measured(f"to the {what}, p99, {callers} at once", "s", [_quantile(values, 0.99)])
    share = stage.report.measured("of the memory-bandwidth limit, alone", "%", shares).median
    return [Figure("of the memory-bandwidth limit, alone", share, "%", ">= 50 %", share >= 50)]


async def _waits(voice: Voice, speaker: Speaker, callers: int) -> tuple[list[float], list[float]]:
    """How long probes of one token, and whole replies, take while `callers` keep asking, the probe among them."""
    first: list[float] = []
    whole: list[float] = []
    enough = asyncio.Event()

    async def talk() -> None:
        while not enough.is_set():
            began = time.perf_counter()
            await voice.speak(speaker, PROMPT, 1, random.getrandbits(31), SAMPLING)
            whole.append(time.perf_counter() - began)

    others = [asyncio.create_task(talk()) for _ in range(callers - 1)]
    for _ in range(PROBES):
        began = time.perf_counter()
        await voice.speak(speaker, PROMPT, 1, random.getrandbits(31), ONE_TOKEN)
        first.append(time.perf_counter() - began)
        if not others:
            began = time.perf_counter()
            await voice.speak(speaker, PROMPT, 1, random.getrandbits(31), SAMPLING)
            whole.append(time.perf_counter() - began)
    enough.set()
    await asyncio.gather(*others)
    return first, whole


async def _crowd(stage: Stage) -> list[Figure]:
    """One caller after another, each asking whom Zipf's law has them ask; nothing is warm but the base."""
    chosen = random.Random(1).choices(
        stage.handles, [1 / rank**ZIPF for rank in range(1, len(stage.handles) + 1)], k=REQUESTS
    )
    times, peak = [], 0.0
    async with Voice(voice_settings(stage.settings)) as voice:
        await voice.speak(Speaker("base", base=_base()), PROMPT, 1, 0, SAMPLING)
        before = _voice_mb()
        for number, handle in enumerate(chosen):
            began = time.perf_counter()
            await voice.speak(await _speaker(stage, handle), PROMPT, 1, number, SAMPLING)
            times.append(time.perf_counter() - began)
            peak = max(peak, _voice_mb())
    stage.report.say(f"{REQUESTS} requests, {len(set(chosen))} personas")
    stage.report.measured("reply, p50, of personas in and out of memory", "s", [_quantile(times, 0.5)])
    return [
        at_most(f"reply, p95, {len(stage.handles)} personas by Zipf", _quantile(times, 0.95), "s", 1.0),
        at_most("memory above the base's", peak - before, "MB", 300),
    ]


async def _quality(stage: Stage) -> list[Figure]:
    """Bits per byte through the voice, against torch's, on the example's newest posts, which it did not learn from."""
    ready = await stage.speakers.find(bundled_handle())
    texts = [post.text for post in example_posts()[-HELD_OUT:]]
    scored = await compared(stage.settings, stage.speakers, ready, texts, stage.report)
    return [at_most("bits per byte through the voice above torch's", 100 * scored.difference, "%", 1.0)]


async def _beside_training(stage: Stage) -> list[Figure]:
    """The same replies alone and beside a training, in turns: the trainer is stopped and goes on."""
    speaker = await _speaker(stage, stage.handles[0])
    ratios = []
    async with Voice(voice_settings(stage.settings)) as voice:
        await voice.speak(speaker, PROMPT, 1, 0, SAMPLING)
        with _training() as trainer:
            for repeat in range(REPEATS):
                trainer.suspend()
                alone = await _mean_reply(voice, speaker, repeat)
                trainer.resume()
                ratios.append(await _mean_reply(voice, speaker, repeat) / alone)
    ratio = stage.report.measured("reply beside a training over alone", "", ratios).median
    return [at_most("reply beside a training over alone", ratio, "", 2.0)]


async def _flat(stage: Stage) -> list[Figure]:
    """Short requests of many personas, eight at a time: the worker's memory after the first tenth and at the end."""
    speakers = [await _speaker(stage, handle) for handle in stage.handles[:20]]
    async with Voice(voice_settings(stage.settings)) as voice:

        async def ask(caller: int, count: int) -> None:
            for number in range(count):
                speaker = speakers[(number * 7 + caller) % len(speakers)]
                await voice.speak(speaker, PROMPT, 1, number, ONE_TOKEN)

        memory = []
        for share in (FLAT_REQUESTS // 10, FLAT_REQUESTS - FLAT_REQUESTS // 10):
            await asyncio.gather(*(ask(caller, share // 8) for caller in range(8)))
            memory.append(_voice_mb())
    stage.report.say(f"memory after a tenth of {FLAT_REQUESTS} requests {memory[0]:.0f} MB, at the end {memory[1]:.0f}")
    return [at_most(f"memory grown over {FLAT_REQUESTS} requests", memory[1] - memory[0], "MB", 20)]


async def _mean_reply(voice: Voice, speaker: Speaker, repeat: int) -> float:
    return statistics.mean([(await _replies(voice, speaker, 1, 500 * repeat + n))[0] for n in range(ALONE)])


async def _replies(voice: Voice, speaker: Speaker, callers: int, seed: int) -> list[float]:
    """Seconds to each caller's own reply, all asking at once."""

    async def ask(number: int) -> float:
        began = time.perf_counter()
        await voice.speak(speaker, PROMPT, 1, seed * 100 + number, SAMPLING, timeout_s=600)
        return time.perf_counter() - began

    return list(await asyncio.gather(*map(ask, range(callers))))


async def _speaker(stage: Stage, handle: str) -> Speaker:
    return await stage.speakers.speaker(await stage.speakers.find(handle))


@contextlib.contextmanager
def _peer(folder: Path) -> Iterator[PeerCall]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.voice_peer", str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        peer = PeerCall(process)
        peer.answer()
        for precision in PRECISIONS:
            peer(precision, 2, 0)
        try:
            yield peer
        finally:
            process.stdin and process.stdin.close()


@dataclass(frozen=True, slots=True)
class PeerCall:
    """The peer's process; called, it speaks for some callers at once and gives the seconds that took."""

    process: subprocess.Popen[str]

    def __call__(self, precision: str, callers: int, seed: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{precision} {callers} {NEW_TOKENS} {seed}\n")
        self.process.stdin.flush()
        return float(self.answer())

    def answer(self) -> str:
        """The next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The pipeline's process ended.")
        return line


@contextlib.contextmanager
def _training() -> Iterator[psutil.Process]:
    """A trainer that Mynah started, in the middle of a training."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:
        clone = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "clone", "bot/example/posts.jsonl", "--as", "bench"],
            cwd=REPOSITORY,
            env=os.environ | {"MYNAH_DATA_DIR": data},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert clone.stdout is not None
            if not any("step " in line for line in clone.stdout):
                raise RuntimeError("The training ended before it began.")
            threading.Thread(target=clone.stdout.read, daemon=True).start()
            yield next(
                child
                for child in psutil.Process(clone.pid).children(recursive=True)
                if "trainer" in " ".join(child.cmdline())
            )
        finally:
            parent = psutil.Process(clone.pid)
            for process in [*parent.children(recursive=True), parent]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            clone.wait()


def _copy_bytes_a_second() -> float:
    """What every core together moves in copies of 64 MiB, read and written counted, at their best."""
    cores = os.cpu_count() or 1
    pairs = [(np.ones(64 << 20, np.uint8), np.empty(64 << 20, np.uint8)) for _ in range(cores)]
    times = []
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(8):
            began = time.perf_counter()
            list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))
            times.append(time.perf_counter() - began)
    return 2 * cores * (64 << 20) / min(times)


def _weight_bytes(speaker: Speaker) -> int:
    """What has to be read for each token: the base, and the adapter as it lies in memory, in fp32."""
    assert speaker.base is not None and speaker.adapter is not None
    return speaker.base.stat().st_size + 2 * (speaker.adapter / "adapter_model.safetensors").stat().st_size


def _base() -> Path:
    base = catalog.gguf_file(Settings().base_model)
    if base is None:
        raise RuntimeError("The base is not installed: mynah setup.")
    return base


def _voice_mb() -> float:
    """The memory of the voice's workers that are this process's own."""
    workers = [child for child in psutil.Process().children() if "bot.voice.worker" in child.cmdline()]
    return sum(worker.memory_info().rss for worker in workers) / MB


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:] or PARTS)))
