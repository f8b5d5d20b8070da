"""`mynah recipe list|show`: every recipe with all that it sets, one's own among them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bot.usage import parser
from tests.running import Home
from trainer.recipes import RECIPES, Recipe

OWN = """
recipe = "slow"

[recipes.slow]
summary = "Two epochs, at half the rate."
based_on = "mynah"
epochs = 2
learning_rate = 0.0008

[recipes.slow.sampling]
temperature = 0.9
"""


def shown(home: Home, *arguments: str) -> str:
    done = home.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_list_names_every_recipe_with_its_summary(home: Home, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(OWN)
    lines = shown(home, "--config", str(tmp_path / "config.toml"), "recipe", "list").splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        *([name, recipe.summary] for name, recipe in RECIPES.items()),
        ["slow", "Two epochs, at half the rate."],
    ]


@pytest.mark.parametrize("name", list(RECIPES))
def test_show_prints_a_table_of_config_toml_with_every_value(home: Home, name: str) -> None:
    text = shown(home, "recipe", "show", name)
    assert text.startswith(f"# {RECIPES[name].summary}\n[recipes.{name}]\n")
    table = tomllib.loads(text)["recipes"][name]
    assert Recipe.model_validate(table | {"name": name, "summary": RECIPES[name].summary}) == RECIPES[name]


def test_what_show_prints_is_a_recipe_of_ones_own_under_another_name(home: Home, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(shown(home, "recipe", "show", "huggingtweets").replace("huggingtweets", "old"))
    again = tomllib.loads(shown(home, "--config", str(config), "recipe", "show", "old"))["recipes"]["old"]
    assert again == tomllib.loads(config.read_text())["recipes"]["old"]


def test_show_of_ones_own_has_what_it_is_based_on(home: Home, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(OWN)
    text = shown(home, "--config", str(tmp_path / "config.toml"), "recipe", "show", "slow")
    slow = tomllib.loads(text)["recipes"]["slow"]
    mynah = RECIPES["mynah"]
    assert (slow["epochs"], slow["learning_rate"], slow["rank"]) == (2, 0.0008, mynah.rank)
    assert (slow["sampling"]["temperature"], slow["sampling"]["top_k"]) == (0.9, mynah.sampling.top_k)


def test_unknown_recipe_lists_the_known_ones(home: Home) -> None:
    done = home.run("recipe", "show", "best\x1b")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mynah: There is no recipe 'best\\x1b'. Known are: mynah, huggingtweets.\n"


@pytest.mark.parametrize("arguments", [(), ("show",), ("bake",)])
def test_wrong_usage_is_told_and_ends(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["recipe", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: mynah recipe")
