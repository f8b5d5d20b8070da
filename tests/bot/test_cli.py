"""`mynah say|models|export|doctor|clone` from start to end, alone and beside a running bot."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from bot.bundled import bundled_handle
from tests.invented import invented_posts, write_csv
from tests.running import ROOT, Home, Mynah

BLOCKED = ("torch", "transformers", "peft", "wandb", "numpy", "gguf", "safetensors", "xllamacpp")

MYNAH_WITHOUT_MODEL_LIBRARIES = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is not for the bot")

import importlib.util
real_find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: name if name == "xllamacpp" else real_find_spec(name, package)
sys.meta_path.insert(0, Blocker())
sys.argv = ["mynah", "say", "ada", "My dream is"]
from bot.cli import main
sys.exit(main())
"""

GENERATE = """
import sys
from transformers import pipeline
speak = pipeline("text-generation", model=sys.argv[1])
print(speak("My dream is", num_return_sequences=1)[0]["generated_text"])
"""


def test_say_is_one_post_a_line_and_the_same_for_the_same_seed(ada: Home) -> None:
    first, again, other = (ada.run("say", "@Ada", "My dream is", "-n", "5", "--seed", seed) for seed in ("1", "1", "2"))
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert len(set(lines)) == 5
    assert all(line.startswith("My dream is") for line in lines)
    assert again.stdout == first.stdout
    assert other.stdout != first.stdout


def test_say_as_json_tells_the_seed_that_says_it_again(ada: Home) -> None:
    said = json.loads(ada.run("say", "ada", "-n", "2", "--json").stdout)
    assert said.keys() == {"handle", "display_name", "texts", "seed"}
    again = ada.run("say", "ada", "-n", "2", "--json", "--seed", str(said["seed"]))
    assert json.loads(again.stdout)["texts"] == said["texts"]


def test_models_as_json_are_whole(ada: Home) -> None:
    listed = ada.run("models", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    ada_row, bundled = json.loads(listed.stdout)
    assert (ada_row["handle"], ada_row["state"], ada_row["posts_kept"]) == ("ada", "ready", 90)
    assert datetime.fromisoformat(ada_row["created_at"]).tzinfo is not None
    assert (bundled["handle"], bundled["bundled"]) == (bundled_handle(), True)


def test_export_is_loaded_by_transformers_alone(ada: Home, tmp_path: Path) -> None:
    folder = tmp_path / "exported model"
    done = ada.run("export", "ada", str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"@ada is in {folder}\n", "")
    loaded = subprocess.run(
        [sys.executable, "-c", GENERATE, str(folder)], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    assert loaded.stdout.startswith("My dream is")


def test_say_and_models_work_beside_a_running_bot_that_keeps_the_folder(ada: Home, tmp_path: Path) -> None:
    with Mynah.on_pipes(ada) as mynah:
        mynah.wait_for("Ready to talk")
        said = ada.run("say", "ada", "My dream is")
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.startswith("My dream is")
        assert json.loads(ada.run("models", "--json").stdout)[0]["handle"] == "ada"

        file = write_csv(tmp_path / "posts.csv", "bea", invented_posts(3))
        for second in (ada.run("run"), ada.run("clone", str(file))):
            assert (second.returncode, second.stdout) == (1, "")
            assert second.stderr == (
                f"mynah: Another Mynah (process {mynah.process.pid}) holds {ada.data}. "
                "Talk to that one or stop it, or start this one with another MYNAH_DATA_DIR.\n"
            )
        mynah.end_input()
        assert mynah.ended() == 0


def test_clone_that_fails_says_why_and_exits_1(home: Home, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "posts.csv", "bea", invented_posts(5))
    done = home.run("clone", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith("@bea: There is too little to learn from: 5 posts downloaded")
    nobody = home.run("clone", str(write_csv(tmp_path / "anonymous.csv", "", invented_posts(5))))
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr.startswith("mynah: anonymous.csv does not say whose posts it holds.")


def test_doctor_as_json_is_a_list_of_findings(home: Home) -> None:
    done = home.run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [finding.keys() for finding in findings] == [{"name", "status", "detail", "advice"}] * len(findings)
    assert done.returncode == any(finding["status"] == "fail" for finding in findings)


@pytest.mark.parametrize("arguments", [(), ("fly",), ("say",), ("say", "ada", "-n", "five"), ("export", "ada")])
def test_wrong_usage_exits_2(home: Home, arguments: tuple[str, ...]) -> None:
    done = home.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: mynah")


def test_refused_command_is_one_sentence_and_exits_1(home: Home) -> None:
    done = home.run("say", "ev\x1bil")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mynah: 'ev\\x1bil' is not a handle.")
    home.settings["MYNAH_RECIPE"] = "none"
    wrong = home.run("models")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "MYNAH_RECIPE in the environment is 'none'" in wrong.stderr


def test_bot_speaks_without_importing_a_model_library(ada: Home) -> None:
    program = MYNAH_WITHOUT_MODEL_LIBRARIES.format(blocked=BLOCKED)
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=ada.environ(), capture_output=True, encoding="utf-8"
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("My dream is")


def test_reader_that_leaves_early_is_no_error(ada: Home) -> None:
    command = f"{sys.executable} -m bot.cli models --json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=ada.environ(), capture_output=True, encoding="utf-8"
    )
    assert done.stderr == ""
