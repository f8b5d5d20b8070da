"""`make bench-quality`: the recipes against each other, on the newest 1,000 kept posts of six people.

Each recipe learns from all but the newest tenth and is measured on that tenth: bits per byte, how much its samples
copy, and whether a classifier names their author. Every training keeps its own checkpoint under bench/results/quality,
so that a bench that was ended goes on where it was: two hours of it are the baseline's on two cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bench.report import QUICK, REPOSITORY, RESULTS, Figure, Report, at_most
from bot.launchers import local
from bot.sources import Limits, open_source
from storage.errors import MynahError
from trainer import corpus
from trainer.catalog import SMOLLM2
from trainer.corpus import RawPost
from trainer.protocol import Evaluated, EvaluateJob, FinetuneJob, Judged, ScoreJob
from trainer.recipes import HUGGINGTWEETS, MYNAH, Recipe
from trainer.report import Authorship, SampleReport

DATA = REPOSITORY.parent / "shared" / "data"
PEOPLE = {
    "andreruffert": "x-archives/andreruffert.zip",
    "mkommar": "x-archives/mkommar.zip",
    "realdonaldtrump": "public-figures/fivethirtyeight-twitter-ratio/realDonaldTrump.csv",
    "barackobama": "public-figures/fivethirtyeight-twitter-ratio/BarackObama.csv",
    "dril": "public-figures/dril-anti0ch/@dril.json",
    "elonmusk": "public-figures/elonmusk-fourthbrain/elonmusk_tweets.csv",
}
POSTS = 1_000
SAMPLES = 50 if QUICK else 200
SEED = 1
WORK = RESULTS / "quality"
CACHE = RESULTS / "cache"
"""Bases, converted once."""

BASELINE = HUGGINGTWEETS.model_copy(update={"heldout": True})
SCORES = TypeAdapter(dict[str, float])


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipe on one person. `base` and `bits` are held-out bits per byte of the same texts for every recipe."""

    handle: str
    recipe: str
    base: float
    bits: float
    judged: SampleReport

    @property
    def authorship(self) -> Authorship:
        assert self.judged.authorship is not None
        return self.judged.authorship


async def main(arguments: Sequence[str]) -> int:
    """Measure `mynah`, and whatever recipes files name, against the baseline."""
    people = [handle for handle in PEOPLE if (DATA / PEOPLE[handle]).exists()]
    if len(people) < 2:
        sys.exit(f"The posts to measure on are not in {DATA}.")
    recipes = [BASELINE, MYNAH, *(_read_recipe(Path(file)) for file in arguments)]
    report = Report("quality", {"people": len(people), "posts of each": POSTS, "samples": SAMPLES, "seed": SEED})
    for handle in people:
        write_posts(handle)
    for recipe in reversed(recipes):  # the baseline takes an hour and more
        for handle in people:
            await train(handle, recipe, report)
    outcomes = {
        recipe.name: [await _outcome(handle, recipe, recipes, people, report) for handle in people]
        for recipe in recipes
    }
    for name, rows in outcomes.items():
        for row in rows:
            report.say(_row(row))
        report.measured(f"{name}: bits per byte", "", [row.bits for row in rows])
    return report.conclude(_figures(outcomes))


def _read_recipe(file: Path) -> Recipe:
    return Recipe.model_validate_json(file.read_text("utf-8"))


def write_posts(handle: str) -> None:
    """The newest posts that the baseline keeps, raw, as a job reads them."""
    file = WORK / handle / "posts.jsonl"
    if file.exists():
        return
    source = open_source(DATA / PEOPLE[handle], author=handle, limits=Limits())
    posts = [RawPost(post.id, post.created_at, post.text, post.kind) for post in source.posts]
    kept = corpus.build(posts, HUGGINGTWEETS).train[-POSTS:]
    wanted = {post.id for post in kept}
    lines = [
        json.dumps(
            {
                "id": post.id,
                "created_at": post.created_at.isoformat() if post.created_at else None,
                "text": post.text,
                "kind": post.kind,
            }
        )
        for post in posts
        if post.id in wanted
    ]
    _write(file, lines)


async def train(handle: str, recipe: Recipe, report: Report) -> float:
    """Train, or go on, or find it done; bits per byte of the recipe's own held-out posts."""
    job = FinetuneJob(
        job_id=f"{handle}-{recipe.name}",
        base=SMOLLM2.name,
        cache_dir=CACHE,
        nice=0,
        parent_pid=os.getpid(),
        persona=handle,
        posts=WORK / handle / "posts.jsonl",
        work_dir=_folder(handle, recipe),
        recipe=recipe,
        seed=SEED,
        judged_samples=0,
    )
    events = await local.errand(job, WORK / "trainer.log")
    after = next(event for event in events if isinstance(event, Evaluated) and event.stage == "after")
    report.say(f"@{handle}, {recipe.name}: trained; {after.bits_per_byte:.4f} bits per byte of its own held-out posts")
    return after.bits_per_byte


async def _outcome(
    handle: str, recipe: Recipe, recipes: Sequence[Recipe], people: Sequence[str], report: Report
) -> Outcome:
    texts = _common_heldout(handle, recipes)
    base = await _bits(handle, None, "base", texts)
    bits = await _bits(handle, _folder(handle, recipe) / "result", recipe.name, texts)
    others = [other for other in people if other != handle]
    return Outcome(handle, recipe.name, base, bits, await _judged(handle, recipe, others))


def _common_heldout(handle: str, recipes: Sequence[Recipe]) -> list[str]:
    """What no recipe learned from, as the baseline cleans it: the ground is its own."""
    splits = {recipe.name: _corpus(_folder(handle, recipe)) for recipe in recipes}
    learned = {id for rows in splits.values() for id, split, _ in rows if split == "train"}
    return [text for id, split, text in splits[BASELINE.name] if split == "heldout" and id not in learned]


async def _bits(handle: str, weights_dir: Path | None, name: str, texts: Sequence[str]) -> float:
    """Bits per byte in fp32, remembered with what they were measured on."""
    key = f"{name}, {len(texts)} posts"
    known_file = WORK / handle / "scores.json"
    known = SCORES.validate_json(known_file.read_text("utf-8")) if known_file.exists() else {}
    if key not in known:
        file = WORK / handle / "heldout.jsonl"
        _write(file, [json.dumps({"text": text}) for text in texts])
        job = ScoreJob(
            job_id="score",
            base=SMOLLM2.name,
            cache_dir=CACHE,
            nice=0,
            parent_pid=os.getpid(),
            weights_dir=weights_dir,
            texts=file,
        )
        (scored,) = [event for event in await local.errand(job, WORK / "trainer.log") if isinstance(event, Evaluated)]
        known[key] = scored.bits_per_byte
        known_file.write_text(json.dumps(known, indent=2), "utf-8")
    return known[key]


async def _judged(handle: str, recipe: Recipe, others: Sequence[str]) -> SampleReport:
    """Samples of a finished clone, judged; the samples are kept beside, to be read."""
    folder = _folder(handle, recipe)
    file = folder / f"judged-{SAMPLES}.json"
    if not file.exists():
        beside = WORK / handle / "others.jsonl"
        rows = [
            json.dumps({"person": other, "text": text})
            for other in others
            for _, split, text in _corpus(_folder(other, MYNAH))
            if split == "train"
        ]
        _write(beside, rows)
        job = EvaluateJob(
            job_id="evaluate",
            base=SMOLLM2.name,
            cache_dir=CACHE,
            nice=0,
            parent_pid=os.getpid(),
            persona=handle,
            weights_dir=folder / "result",
            corpus=folder / "corpus.jsonl",
            others=beside,
            recipe=recipe,
            samples=SAMPLES,
            seed=SEED,
        )
        (judged,) = [event for event in await local.errand(job, WORK / "trainer.log") if isinstance(event, Judged)]
        file.write_text(judged.model_dump_json(indent=2), "utf-8")
    report = Judged.model_validate_json(file.read_text("utf-8")).report
    assert report.samples is not None
    return report.samples


def _folder(handle: str, recipe: Recipe) -> Path:
    return WORK / handle / recipe.name


def _corpus(folder: Path) -> list[tuple[str, str, str]]:
    """Id, split and text of each post."""
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    return [(row["id"], row["split"], row["text"]) for row in rows]


def _write(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _row(row: Outcome) -> str:
    """A row of docs/quality.md's table."""
    who, judged = row.authorship, row.judged
    cells = [
        row.handle,
        row.recipe,
        f"{row.base:.3f}",
        f"{row.bits:.3f}",
        f"{judged.copy_rate.value:.1%}",
        f"{who.samples.value:.0%} of {who.real.value:.0%}",
        f"{who.sample_fives.value:.0%} of {who.real_fives.value:.0%}",
        f"{judged.distinct_2.value:.2f}",
        f"{judged.style_distance.value:.3f} ({judged.style_distance_self.value:.3f})",
    ]
    return f"| {' | '.join(cells)} |"


def _figures(outcomes: Mapping[str, Sequence[Outcome]]) -> list[Figure]:
    """Each claim for `mynah`, against the baseline."""
    ours, theirs = outcomes[MYNAH.name], outcomes[BASELINE.name]

    def mean(rows: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
        return statistics.mean(value(row) for row in rows)

    def who_ratio(rows: Sequence[Outcome]) -> float:
        return mean(rows, lambda row: row.authorship.samples.value) / mean(rows, lambda row: row.authorship.real.value)

    def fives_ratio(rows: Sequence[Outcome]) -> float:
        real = mean(rows, lambda row: row.authorship.real_fives.value)
        return mean(rows, lambda row: row.authorship.sample_fives.value) / real

    worst = max(our.bits / their.bits for our, their in zip(ours, theirs, strict=True))
    gain, their_gain = (mean(rows, lambda row: 100 * (1 - row.bits / row.base)) for rows in (ours, theirs))
    copies, their_copies = (mean(rows, lambda row: 100 * row.judged.copy_rate.value) for rows in (ours, theirs))
    who, their_who = who_ratio(ours), who_ratio(theirs)
    fives, their_fives = fives_ratio(ours), fives_ratio(theirs)
    return [
        at_most("held-out bits per byte, mynah / huggingtweets, the worst of the people", worst, "", 1),
        Figure("gain over the base, mean", gain, "%", f">= huggingtweets' {their_gain:.3g} %", gain >= their_gain),
        at_most(f"copy rate, mean (huggingtweets {their_copies:.3g} %)", copies, "%", 1),
        Figure(f"who said it, samples / real posts (huggingtweets {their_who:.3g})", who, "", ">= 0.95", who >= 0.95),
        Figure(
            f"who said it, fives of samples / of real posts (huggingtweets {their_fives:.3g})",
            fives,
            "",
            ">= 0.95",
            fives >= 0.95,
        ),
    ]


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1:])))
    except MynahError as error:
        sys.exit(str(error))
