"""`[recipes.NAME]` in config.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bot.config import load
from bot.errors import SettingsError
from bot.gateways.text import recipe_table
from bot.own_recipes import own_recipes
from trainer.recipes import HUGGINGTWEETS, MYNAH, RECIPES, Recipe


def from_toml(text: str, folder: Path) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_own_recipe_is_what_differs_from_the_one_it_is_based_on(tmp_path: Path) -> None:
    text = '[recipes.slow]\nbased_on = "huggingtweets"\nepochs = 2\n[recipes.slow.sampling]\ntemperature = 0.8\n'
    settings = load(from_toml(text, tmp_path), {})
    slow = settings.known_recipes["slow"]
    sampling = HUGGINGTWEETS.sampling.model_copy(update={"temperature": 0.8})
    summary = "Like huggingtweets, but for epochs 2, temperature 0.8."  # what its card tells
    assert slow == HUGGINGTWEETS.model_copy(
        update={"name": "slow", "summary": summary, "epochs": 2, "sampling": sampling}
    )


def test_own_recipe_may_be_the_one_that_clones_are_trained_by(tmp_path: Path) -> None:
    settings = load(from_toml('recipe = "mine"\n[recipes.mine]\nrank = 8\n', tmp_path), {})
    assert settings.known_recipes[settings.recipe].rank == 8


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("[recipes.mine]\nepoch = 2", "recipes.mine.epoch is no setting of a recipe; the nearest one is epochs"),
        ('[recipes.mine]\nepochs = "many"', "recipes.mine.epochs is 'many'"),
        ('[recipes.mine]\nbased_on = "best"', "recipes.mine.based_on is 'best'; it should be mynah or huggingtweets"),
        ("[recipes.mynah]\nepochs = 2", "recipes.mynah has the name of a recipe that comes with Mynah"),
        ("[recipes.Mine]\nepochs = 2", "recipes.Mine is no name for a recipe"),
        ("[recipes.mine.sampling]\ntop = 2", "the nearest one is sampling.top_"),
        ("recipes = 3", "recipes is 3"),
        ("[recipes]\nmine = 3", "recipes.mine is 3"),
    ],
)
def test_mistake_is_told_by_its_key(table: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load(from_toml(table + "\n", tmp_path), {})
    assert told in str(error.value)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_what_is_shown_can_be_written_into_config(recipe: Recipe) -> None:
    shown = "\n".join(recipe_table(recipe.model_copy(update={"name": "copy"})))
    found, problems = own_recipes(tomllib.loads(shown)["recipes"])
    assert problems == []
    assert found["copy"] == recipe.model_copy(update={"name": "copy", "summary": found["copy"].summary})


def test_default_is_mynah() -> None:
    assert load(None, {}).recipe == MYNAH.name
