"""`mynah evaluate`: a clone is judged anew, its figures are told and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlite_utils import Database

from bot import config
from bot.app import running
from bot.data_folder import DataFolder
from storage import clones, evaluations, personas
from storage.clones import Clone
from storage.errors import MynahError
from tests.running import Home
from trainer.report import QualityReport


def the_clone(db: Database) -> Clone:
    persona = personas.find(db, "ada")
    assert persona is not None
    (clone,) = clones.of_persona(db, persona.id)
    return clone


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_evaluation_is_told_as_json_and_kept_beside_the_one_of_the_training(ada: Home) -> None:
    done = ada.run("evaluate", "@Ada", "--samples", "6", "--seed", "3", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["handle"], told["version"]) == ("ada", 1)
    report = QualityReport.model_validate(told["report"])
    assert report.samples is not None
    assert report.samples.samples == 6

    with ada.database() as db:
        clone = the_clone(db)
        newest = evaluations.newest(db, clone.id)
        assert newest is not None
        assert QualityReport.model_validate_json(newest.measured.report_json) == report
        assert newest.measured.copy_rate == report.samples.copy_rate.value
        assert db.table("evaluations").count_where("clone_id = ?", [clone.id]) == 2
    assert report.bits_per_byte is not None
    assert report.bits_per_byte.value == pytest.approx(clone.bits_per_byte_after, abs=1e-4)
    assert report.bits_per_byte_base is not None
    assert report.bits_per_byte_base.value == pytest.approx(clone.bits_per_byte_before, abs=1e-4)
    assert report.bits_per_byte.low < report.bits_per_byte.value < report.bits_per_byte.high
    assert files_below(DataFolder(ada.data).jobs) == []


async def test_what_cannot_be_judged_is_refused_before_anything_is_begun(ada: Home) -> None:
    refused = []
    async with running(config.load(None, ada.environ()), make_clones=False) as app:
        for handle, samples, seed in (
            ("ada", 0, 1),
            ("ada", 2001, 1),
            ("ada", 9, -1),
            ("ada", 9, 2**32),
            ("eve", 9, 1),
        ):
            with pytest.raises(MynahError) as refusal:
                await app.commands.evaluate(handle, samples, seed)
            refused.append(refusal.value.message)
    assert refused == [
        "0 samples cannot be judged.",
        "2001 samples cannot be judged.",
        "The seed -1 cannot be used.",
        "The seed 4294967296 cannot be used.",
        "There is no persona @eve.",
    ]
