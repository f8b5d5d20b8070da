"""What surrounds a command is broken: one sentence on standard error, status 1, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.own_recipes import own_recipes
from storage.errors import StorageError
from storage.personas import normalise_handle
from tests.running import ROOT, Home


def told(home: Home, shell: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`mynah` by a shell, which can close and redirect what a program starts with."""
    return subprocess.run(
        ["bash", "-c", shell.replace("mynah", f"{sys.executable} -m bot.cli")],
        cwd=ROOT,
        env=home.environ() | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_a_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_data_folder_that_is_a_file(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("text\n")
    is_a_sentence(told(home, "mynah models", MYNAH_DATA_DIR=str(file)), f"The data folder {file} cannot be")


def test_output_that_cannot_be_written(ada: Home) -> None:
    is_a_sentence(told(ada, "mynah models > /dev/full"), "No space left on device")


def test_no_standard_input_is_an_empty_one(ada: Home) -> None:
    done = told(ada, "mynah run <&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_settings_that_are_not_there(home: Home) -> None:
    is_a_sentence(told(home, "mynah --config /nope.toml models"), "There is no file /nope.toml.")
    is_a_sentence(told(home, "mynah --config / models"), "/ is no file.")


@pytest.mark.parametrize("handle", ["@@@", "...", "@-"])
def test_handle_without_a_letter_or_digit(handle: str) -> None:
    with pytest.raises(StorageError, match="is not a handle"):
        normalise_handle(handle)


@pytest.mark.parametrize(
    "table",
    [
        {"epochs": 0},
        {"epochs": -2},
        {"learning_rate": -1.0},
        {"rank": 0},
        {"row_tokens": 0},
        {"sampling": {"temperature": -1.0}},
        {"sampling": {"top_p": 7}},
        {"sampling": {"min_tokens": 900}},
    ],
)
def test_recipe_with_values_that_cannot_work_is_refused_before_anything_is_trained(table: dict[str, object]) -> None:
    found, problems = own_recipes({"mine": table})
    assert found == {}
    assert problems[0].startswith("recipes.mine.")


def test_text_of_one_endless_line_is_a_file_of_text(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "endless.txt"
    file.write_text("word " * 40_000)
    done = told(home, f"mynah clone {file} --as ada")
    assert done.returncode == 1
    assert "mistake in Mynah" not in done.stderr


def test_posts_that_repeat_one_another_are_too_little_to_learn_from(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "same.txt"
    file.write_text("I drink my tea and look at the garden\n" * 400)
    is_a_sentence(told(home, f"mynah clone {file} --as ada"), "There is too little to learn from")


async def test_handle_without_its_sign_is_no_prompt(ada: Home) -> None:
    done = ada.run("run", typed="/say ada count=1\n")
    assert "@ada (a bot imitating them):" in done.stdout
