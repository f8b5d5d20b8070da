"""A real training by the recipe `huggingtweets` leaves every run and artifact that the recipe names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.jobs import QUICK_HUGGINGTWEETS, finetune_job, run
from tests.trainer.wandb_file import runs_in
from trainer.protocol import Started, Tracked, Tracking, Warned

pytestmark = pytest.mark.timeout(300)


def test_every_run_and_artifact_of_the_recipe_is_on_disk(tmp_path: Path, tiny_gpt2: Path) -> None:
    tracking = Tracking(mode="offline", project="huggingtweets", folder=tmp_path / "tracking")
    job = finetune_job(tmp_path, tiny_gpt2, recipe=QUICK_HUGGINGTWEETS, tracking=tracking)
    outcome = run(job)
    assert outcome.status == 0, outcome.stderr
    assert not outcome.all(Warned)
    assert [event.run_id for event in outcome.all(Tracked)] == ["test-preprocess", "test-train"]
    preprocess, train = runs_in(tracking.folder)
    assert [artifact.name for artifact in preprocess.artifacts] == ["tweets-somebody", "dataset-somebody"]
    names = {artifact.name: artifact.type for artifact in train.artifacts}
    assert names == {
        "dataset-somebody": "train-dataset",
        tiny_gpt2.name: "pretrained-model",
        "somebody": "finetuned-model",
        "run-test-train-examples": "run_table",
    }
    model = train.artifact("somebody")
    assert "model.safetensors" in [entry.path for entry in model.manifest.contents]
    assert train.config["base_sha256"] == outcome.one(Started).base_hash
    assert any("loss" in row for row in train.rows)
    assert train.rows[-1]["examples._type"] == "table-file"


def test_a_tracked_training_learns_the_same(tmp_path: Path, tiny_gpt2: Path) -> None:
    """To the bit: tracking takes nothing from it and adds nothing."""
    weights = []
    for name, tracked in (("with", True), ("without", False)):
        tracking = Tracking(mode="offline", project="huggingtweets", folder=tmp_path / name / "tracking")
        folder = tmp_path / name
        job = finetune_job(folder, tiny_gpt2, recipe=QUICK_HUGGINGTWEETS, tracking=tracking if tracked else None)
        assert run(job).status == 0
        weights.append((job.work_dir / "result" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
