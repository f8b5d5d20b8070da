"""The original recipe, number by number, and the schedules that recipes name."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from trainer.loop import learning_rate
from trainer.recipes import HUGGINGTWEETS, MYNAH, RECIPES, Recipe, Sampling

STEPS = 40


def test_original_is_the_published_recipe() -> None:
    published = Recipe(
        name="huggingtweets",
        summary=HUGGINGTWEETS.summary,
        method="full",
        dedupe=False,
        forms_once=False,
        drop_quotes=False,
        tidy_links=False,
        sequential_unescape=True,
        heldout=False,
        layout="blocks",
        block_tokens=1_024,
        epochs=4,
        learning_rate=1.372e-4,
        schedule="cosine",
        warmup=0.0,
        weight_decay=0.0,
        clip=1.0,
        precision="fp32",
        evaluations=0,
        patience=0,
        sampling=Sampling(temperature=1.0, top_k=50, top_p=0.95, min_tokens=10, max_tokens=160),
    )
    assert published == HUGGINGTWEETS


def test_ours_trains_adapters_and_is_stopped_by_posts_it_never_saw() -> None:
    assert (MYNAH.method, MYNAH.layout, MYNAH.heldout) == ("lora", "packed", True)
    assert MYNAH.evaluations > MYNAH.patience > 0


def test_both_are_found_by_name() -> None:
    assert {"huggingtweets": HUGGINGTWEETS, "mynah": MYNAH} == RECIPES


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedule_is_that_of_transformers(schedule: str, warmup: float) -> None:
    recipe = Recipe.model_validate({**HUGGINGTWEETS.model_dump(), "schedule": schedule, "warmup": warmup})
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=int(warmup * STEPS), num_training_steps=STEPS)
    for step in range(STEPS):
        assert learning_rate(recipe, step, STEPS) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        scheduler.step()
