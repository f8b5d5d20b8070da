"""`mynah card`: a folder with the card and its pictures, figures out of the database, and no name that breaks it."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from bot.data_folder import DataFolder
from storage import evaluations, personas
from storage.database import open_database
from storage.evaluations import TrackedRun
from tests.running import Home
from trainer.report import Estimate, QualityReport

HOSTILE = "Ada | `BOT` <script>alert('x')</script> \u202eאדה\u202c 🦜 ---\n# {{ name }}"

BROWSER = """#!{python}
import pathlib, sys
pathlib.Path({seen!r}).write_text(sys.argv[1])
"""


@pytest.fixture(scope="module")
def card(ada_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a card that was opened in a browser, of somebody with a name that tries everything."""
    folder = tmp_path_factory.mktemp("card")
    seen = folder / "seen.txt"
    browser = folder / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, seen=str(seen)))
    browser.chmod(0o700)
    settings = {"BROWSER": f"{browser} %s", "MYNAH_CARD__CONTACT": "keeper@example.org"}
    home = ada_home.copy(folder / "data", **settings)
    db = open_database(DataFolder(home.data).database)
    ada = personas.ensure(db, "ada", HOSTILE)
    assert ada.current_clone_id is not None
    evaluations.record_run(
        db, ada.current_clone_id, TrackedRun("preprocess", "run-one", "https://wandb.example/runs/1")
    )
    evaluations.record_run(db, ada.current_clone_id, TrackedRun("train", "run-two", ""))
    db.close()

    done = home.run("card", "@ada", "--open")
    assert (done.returncode, done.stderr) == (0, "")
    page = Path(done.stdout.strip())
    assert page.parent == DataFolder(home.data).cards / ada.current_clone_id
    assert unquote(urlsplit(seen.read_text()).path) == str(page)
    assert list(DataFolder(home.data).jobs.rglob("*")) == []
    return page.parent


@pytest.fixture(scope="module")
def readme(card: Path) -> str:
    return (card / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def report(card: Path) -> QualityReport:
    """What the database has of the clone."""
    db = open_database(DataFolder(card.parents[1]).database)
    measured = evaluations.newest(db, card.name)
    db.close()
    assert measured is not None
    return QualityReport.model_validate_json(measured.measured.report_json)


def test_card_lies_in_a_folder_with_its_pictures(card: Path) -> None:
    assert {path.name for path in card.iterdir()} == {
        *("README.md", "card.html"),
        *("avatar.png", "pipeline.png", "predictions.png"),
    }
    with Image.open(card / "predictions.png") as picture:
        assert picture.size == (1200, 630)


def test_figures_are_those_of_the_database(readme: str, report: QualityReport) -> None:
    def cell(estimate: Estimate) -> str:
        return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"

    assert report.bits_per_byte is not None
    assert report.bits_per_byte_base is not None
    assert f"| Bits per byte | {cell(report.bits_per_byte)} | base: {cell(report.bits_per_byte_base)} |" in readme
    assert f"value: {round(report.bits_per_byte.value, 4)}" in readme
    assert report.samples is not None
    assert f"Measured on {report.heldout_posts} held-out posts and {report.samples.samples} samples" in readme
    for row in ("| Posts kept | 90 |", "| seed | 7 |", "| device | cpu |"):
        assert row in readme
    assert "81 posts were learned from; 9 were held out" in readme


def test_runs_are_linked_or_named_as_offline(readme: str) -> None:
    assert "(https://wandb.example/runs/1)" in readme
    offline = next(line for line in readme.splitlines() if "run-two" in line)
    assert "offline" in offline


def test_hostile_name_comes_out_as_text_and_breaks_nothing(card: Path, readme: str) -> None:
    page = (card / "card.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<script>" not in readme
    assert "{{ name }}" in page
    assert [line for line in readme.splitlines() if line.startswith("# ")] == [
        next(line for line in readme.splitlines() if "🤖" in line and line.startswith("# "))
    ]


def test_contact_for_removal_is_the_keeper(readme: str) -> None:
    assert "keeper@example.org" in readme.replace("\\", "")


def test_card_of_nobody_is_refused(ada: Home) -> None:
    done = ada.run("card", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mynah: There is no persona @nobody.")
