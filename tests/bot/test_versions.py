"""Versions of a persona: which of them speaks and why, back to an older one, and on from the last with what is new."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import clones, personas
from storage.clones import Clone
from storage.database import check
from tests.invented import invented_posts, write_csv
from tests.running import Home, Mynah
from trainer.report import DriftReport

pytestmark = pytest.mark.timeout(300)

TIMID = """
[recipes.timid]
learning_rate = 1e-7
"""
"""It learns next to nothing, so whatever spoke before predicts better."""

SAY = "/say @ada seed=5\n"


@dataclass(frozen=True)
class Life:
    """@ada cloned again with newer posts, once more with a recipe that is no good, and then refreshed, with a kill."""

    home: Home
    output: str
    said: list[str]
    """With the same seed, after each of the four versions was made."""


@pytest.fixture(scope="module")
def life(ada_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("versions")
    home = ada_home.copy(folder / "data", MYNAH_QUALITY__SAMPLES="0")
    (folder / "config.toml").write_text(TIMID)
    later = write_csv(folder / "later.csv", "ada", invented_posts(120))
    typed = f"{SAY}/clone @ada file={later} seed=7\n{SAY}/clone @ada recipe=timid\n{SAY}"
    done = home.run("--config", str(folder / "config.toml"), "run", typed=typed, timeout_s=240)
    assert (done.returncode, done.stderr) == (0, "")
    output = done.stdout + refreshed(home, write_csv(folder / "latest.csv", "ada", invented_posts(150)))
    return Life(home, output, posts_said(output))


def refreshed(home: Home, file: Path) -> str:
    """What is told while a refresh is killed on its way, and goes on at the next start."""
    with Mynah.on_pipes(home) as killed:
        killed.type(f"/refresh @ada file={file} seed=3\n")
        killed.wait_for(r"step \d+/")
        killed.kill()
        assert killed.left_behind() == []
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/train watch\n{SAY}/versions @ada\n/quit\n")
        mynah.wait_for("rollback @handle version=N", timeout_s=180)
        assert mynah.ended() == 0
        assert mynah.errors == ""
    return killed.output + mynah.output


def posts_said(output: str) -> list[str]:
    return re.findall(r"@ada \(a bot imitating them\):\n(.*)\n", output)


def versions(home: Home) -> dict[int, Clone]:
    with home.database() as db:
        ada = personas.find(db, "ada")
        assert ada is not None
        return {clone.version: clone for clone in clones.of_persona(db, ada.id)}


def test_version_that_predicts_no_worse_speaks_and_says_so(life: Life) -> None:
    verdict = versions(life.home)[2].verdict
    assert re.fullmatch(
        r"It predicts no worse than version 1: \d\.\d{3} bits per byte after \d\.\d{3}, "
        r"on 12 posts that neither saw\.",
        verdict,
    )
    assert f"@ada is ready.\n@ada: {verdict}\n" in life.output
    assert life.said[1] != life.said[0]


def test_version_that_predicts_worse_does_not_speak_and_says_why(life: Life) -> None:
    verdict = versions(life.home)[3].verdict
    assert re.fullmatch(
        r"It predicts worse \(\d\.\d{3} bits per byte after \d\.\d{3}, on 12 posts that neither saw\): "
        r"version 2 goes on speaking\.",
        verdict,
    )
    assert f"@ada: version 3 is ready and does not speak. {verdict}\n" in life.output
    assert life.said[2] == life.said[1]


def test_table_has_the_newest_on_top_with_a_mark_at_the_one_that_speaks(life: Life) -> None:
    table = life.output[life.output.index("version   state") :].splitlines()
    rows = [line.split()[:3] for line in table if re.match(r" +\d+[* ] ", line)]
    assert rows == [
        ["4*", "ready", "mynah"],
        ["3", "ready", "timid"],
        ["2", "ready", "mynah"],
        ["1", "ready", "mynah"],
    ]
    assert [line.strip() for line in table if "predicts" in line] == [
        versions(life.home)[number].verdict for number in (4, 3, 2)
    ]


def test_versions_as_json_are_whole(life: Life) -> None:
    listed = life.home.run("versions", "@ada", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = json.loads(listed.stdout)
    assert [(row["clone"]["version"], row["speaks"]) for row in rows] == [(4, True), (3, False), (2, False), (1, False)]
    assert [row["clone"]["recipe_json"]["learning_rate"] for row in rows] == [1.5e-3, 1e-7, 1.5e-3, 1.5e-3]
    assert rows[0]["clone"]["drift_json"]["new_posts"] > 0
    measured = rows[-1]["evaluation"]["measured"]
    assert measured["report_json"]["samples"]["copy_rate"]["value"] == measured["copy_rate"]


def test_rollback_goes_to_versions_that_spoke_and_each_says_what_it_said(life: Life, tmp_path: Path) -> None:
    home = life.home.copy(tmp_path / "data")
    back = "/rollback @ada\n" + SAY
    done = home.run("run", typed=back + back + "/rollback @ada version=4\n" + SAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"@ada: version (\d) speaks now\.", done.stdout) == ["2", "1", "4"]
    assert posts_said(done.stdout) == [life.said[1], life.said[0], life.said[3]]


def test_rollback_takes_any_ready_version_by_its_number_and_refuses_others(life: Life, tmp_path: Path) -> None:
    home = life.home.copy(tmp_path / "data")
    third = home.run("rollback", "ada", "3")
    assert (third.returncode, third.stdout, third.stderr) == (0, "Version 3 speaks now.\n", "")
    assert home.run("rollback", "ada").stdout == "Version 2 speaks now.\n"
    fifth = home.run("rollback", "ada", "5")
    assert (fifth.returncode, fifth.stdout) == (1, "")
    assert fifth.stderr == "mynah: @ada has no ready version 5. See /versions @ada.\n"


def test_refresh_adds_what_is_new_and_trains_on_from_the_version_that_speaks(life: Life) -> None:
    made = versions(life.home)
    assert made[4].goes_on_from == made[2].id
    assert "@ada: 30 posts are new, 0 changed, 120 known already." in life.output
    assert "135 to learn from, the newest 15 held out to measure on; 27 of those to learn from are new." in life.output
    steps = [int(of) for of in re.findall(r"@ada step 1/(\d+)", life.output)]
    assert steps[2] < 0.6 * steps[0]


def test_refresh_tells_what_changed_in_the_posts(life: Life) -> None:
    stored = versions(life.home)[4].drift_json
    assert stored is not None
    drift = DriftReport.model_validate_json(stored)
    assert (drift.old_posts, drift.new_posts) == (108, 42)  # held-out ones are new too
    told = "@ada: 42 new posts, held-out ones among them, beside 108 old ones: style distance"
    assert f"{told} {drift.style_distance.value:.3f}" in life.output


def test_killed_refresh_goes_on_from_its_checkpoint(life: Life) -> None:
    (step,) = re.findall(r"training on .*, seed 3, from step (\d+)\.", life.output)
    assert int(step) > 0
    refresh = versions(life.home)[4]
    assert (refresh.state, refresh.attempts, refresh.seed) == ("ready", 2, 3)
    with life.home.database() as db:
        assert check(db) == []


def test_what_cannot_be_is_refused_in_a_sentence(ada: Home) -> None:
    typed = "/versions @nobody\n/rollback @ada\n/refresh @nobody\n/refresh @ada file=none.csv\n"
    done = ada.run("run", typed=typed)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "There is no persona @nobody. /models lists who is here.",
        "@ada has no older version that spoke. See /versions @ada.",
        "There is no persona @nobody. Known are: @ada, @pigeon_mgmt.",
        "There is no file none.csv. Check the path; quote it if it holds spaces.",
    ]
