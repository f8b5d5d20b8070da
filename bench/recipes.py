"""`make bench-recipes`: what each value of the recipe gives, one changed at a time.

Held-out bits per byte of the newest 1,000 kept posts of the people of `bench.quality`, after a training with each
variant; each is kept under bench/results/quality, so that a bench that was ended goes on. `python -m bench.recipes
HANDLE…` measures some people.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

from bench import quality
from bench.report import QUICK, Figure, Report
from storage.errors import MynahError
from trainer.recipes import MYNAH, Recipe

VARIANTS: Mapping[str, Mapping[str, float | str]] = {
    "beta1 0.9": {"beta1": 0.9},
    "beta1 0.7": {"beta1": 0.7},
    "beta2 0.999": {"beta2": 0.999},
    "beta2 0.95": {"beta2": 0.95},
    "rate 1e-3": {"learning_rate": 1e-3},
    "rate 2.2e-3": {"learning_rate": 2.2e-3},
    "rank 8": {"rank": 8, "alpha": 16},
    "rank 32": {"rank": 32, "alpha": 64},
    "upper 20 layers": {"first_layer": 10},
    "upper 15 layers": {"first_layer": 15},
    "two epochs": {"epochs": 2, "learning_rate": 1e-3},
    "rows of 96": {"row_tokens": 96, "learning_rate": 1e-3},
    "rows of 384": {"row_tokens": 384, "learning_rate": 2e-3},
    "dropout 0.1": {"dropout": 0.1},
    "smoothing 0.1": {"label_smoothing": 0.1},
    "weight decay 0.1": {"weight_decay": 0.1},
    "cosine": {"schedule": "cosine"},
}
PEOPLE = ("andreruffert",) if QUICK else ("andreruffert", "dril", "elonmusk")


async def main(handles: Sequence[str]) -> int:
    """Train each variant on each person; the last line says whether none is better than what ships."""
    people = [handle for handle in handles or PEOPLE if (quality.DATA / quality.PEOPLE[handle]).exists()]
    if not people:
        sys.exit(f"The posts to measure on are not in {quality.DATA}.")
    recipes = [MYNAH, *(_variant(name) for name in (list(VARIANTS)[:1] if QUICK else VARIANTS))]
    report = Report("recipes", {"people": len(people), "posts of each": quality.POSTS, "seed": quality.SEED})
    medians: dict[str, float] = {}
    for recipe in recipes:
        bits = []
        for handle in people:
            quality.write_posts(handle)
            bits.append(await quality.train(handle, recipe, report))
        medians[recipe.name] = report.measured(recipe.summary, "bits per byte", bits).median
    best = min(medians, key=lambda name: medians[name])
    ratio = medians[MYNAH.name] / medians[best]
    return report.conclude([Figure(f"what ships / the best variant ({best})", ratio, "", "<= 1.005", ratio <= 1.005)])


def _variant(name: str) -> Recipe:
    return MYNAH.model_copy(update={**VARIANTS[name], "name": name.replace(" ", "-"), "summary": name})


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1:])))
    except MynahError as error:
        sys.exit(str(error))
