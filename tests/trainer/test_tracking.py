"""What W&B is told of a training: written offline by the real library, and read back from its files."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.wandb import serving
from tests.trainer.jobs import Recorder
from tests.trainer.tracked import (
    BASE_HASH,
    COUNTED,
    PATIENCE_S,
    STEPS,
    tell_all,
    tell_beginning,
    tell_end,
    tell_steps,
    tracked_job,
)
from tests.trainer.wandb_file import RunFile, runs_in
from trainer.protocol import Counted, FinetuneJob, Tracked
from trainer.tracking.runs import artifact_name
from trainer.tracking.tracker import open_tracker

pytestmark = pytest.mark.timeout(300)

SECRETS = {
    "WANDB_API_KEY": "marker-wandb-" + "k" * 30,
    "HF_TOKEN": "marker-hub",
    "DISCORD_TOKEN": "marker-discord",
    "LOGNAME": "marker-user",
    "USER": "marker-user",
    "HOSTNAME": "marker-host",
    "WANDB_NOTES": "marker-notes",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinetuneJob, Recorder]:
    """A finished training, tracked offline in surroundings full of secrets."""
    folder = tmp_path_factory.mktemp("marker-place")
    job, recorder = tracked_job(folder, persona="somebody"), Recorder()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SECRETS, "HOME": str(folder / "marker-home")}.items():
            patch.setenv(name, value)
        with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
            tell_all(tracker, job)
    return job, recorder


@pytest.fixture(scope="module")
def preprocess(told: tuple[FinetuneJob, Recorder]) -> RunFile:
    return runs_in(tracking_folder(told[0]))[0]


@pytest.fixture(scope="module")
def train(told: tuple[FinetuneJob, Recorder]) -> RunFile:
    return runs_in(tracking_folder(told[0]))[1]


def tracking_folder(job: FinetuneJob) -> Path:
    assert job.tracking is not None
    return job.tracking.folder


def test_a_training_is_two_runs_and_both_are_said(told: tuple[FinetuneJob, Recorder]) -> None:
    job, recorder = told
    assert recorder.events == [
        Tracked(job_type="preprocess", run_id=f"{job.job_id}-preprocess"),
        Tracked(job_type="train", run_id=f"{job.job_id}-train"),
    ]


def test_runs_have_the_names_of_huggingtweets(preprocess: RunFile, train: RunFile) -> None:
    for run, kind in ((preprocess, "preprocess"), (train, "train")):
        (record,) = (record.run for record in run.records if record.HasField("run"))
        assert (record.project, record.display_name, record.job_type) == ("huggingtweets", f"@somebody-{kind}", kind)


def test_preprocess_uses_the_tweets_and_logs_the_data_set(preprocess: RunFile) -> None:
    tweets, dataset = preprocess.artifacts
    assert (tweets.name, tweets.type, tweets.use_after_commit) == ("tweets-somebody", "raw-dataset", True)
    assert (dataset.name, dataset.type, dataset.use_after_commit) == ("dataset-somebody", "train-dataset", False)
    about = {"handle": "somebody", "seed": 7, "epochs": 3, "version": version("mynah")}
    assert json.loads(dataset.metadata) == about


def test_preprocess_tells_the_data_table(preprocess: RunFile) -> None:
    assert Counted.model_validate(preprocess.config["counted"]) == COUNTED


def test_train_uses_that_very_data_set_and_the_base_and_logs_the_model(preprocess: RunFile, train: RunFile) -> None:
    dataset, base, model = (train.artifact(name) for name in ("dataset-somebody", "gpt2", "somebody"))
    assert [artifact.use_after_commit for artifact in (dataset, base, model)] == [True, True, False]
    assert dataset.digest == preprocess.artifact("dataset-somebody").digest
    assert (base.type, model.type) == ("pretrained-model", "finetuned-model")
    assert [entry.path for entry in model.manifest.contents] == ["adapter_config.json", "adapter_model.safetensors"]


def test_the_base_is_named_by_its_hash_and_never_uploaded(train: RunFile) -> None:
    (entry,) = train.artifact("gpt2").manifest.contents
    assert entry.ref == f"urn:sha256:{BASE_HASH}"
    assert not entry.local_path


def test_what_is_to_be_uploaded_lies_in_the_tracking_folder(
    told: tuple[FinetuneJob, Recorder], preprocess: RunFile, train: RunFile
) -> None:
    here = "/proc/self/cwd/"
    for artifact in (*preprocess.artifacts, *train.artifacts):
        for entry in artifact.manifest.contents:
            local = tracking_folder(told[0]) / entry.local_path.removeprefix(here)
            assert entry.ref or local.stat().st_size == entry.size


def test_the_configuration_holds_versions_model_and_arguments(train: RunFile) -> None:
    config = train.config
    assert config["model"] == {"n_layer": 2, "id2label": {"0": "a"}}
    assert (config["seed"], config["base"], config["base_sha256"]) == (7, "gpt2", BASE_HASH)
    assert (config["device"], config["precision"]) == ("cpu", "fp32")
    versions, recipe = config["versions"], config["recipe"]
    assert isinstance(versions, dict)
    assert versions["torch"] == version("torch")
    assert isinstance(recipe, dict)
    assert recipe["name"] == "mynah"


def test_every_step_has_its_metrics(train: RunFile) -> None:
    steps = {row["_step"]: row for row in train.rows if "loss" in row}
    assert list(steps) == list(range(1, STEPS + 1))
    assert (steps[4]["loss"], steps[4]["learning_rate"], steps[4]["tokens_per_s"]) == (0.25, 0.025, 100.0)


def test_quality_is_told_as_it_is_measured(train: RunFile) -> None:
    told = {name: value for row in train.rows for name, value in row.items() if "/" in name}
    assert told["heldout/bits_per_byte_before"] == 2.5
    assert told["eval/bits_per_byte"] == 2.0
    assert told["heldout/bits_per_byte_after"] == 1.5
    assert (told["quality/bits_per_byte_low"], told["quality/bits_per_byte_high"]) == (1.4, 1.6)


def test_the_last_predictions_are_a_table(told: tuple[FinetuneJob, Recorder]) -> None:
    (file,) = tracking_folder(told[0]).glob("wandb/*train/files/media/table/examples_*")
    table = json.loads(file.read_text())
    assert table["columns"] == ["Input", "Prediction"]
    assert table["data"] == [["My dream is", "My dream is of step 20"], ["I think", "I think of step 20"]]


def test_the_table_ends_the_history(train: RunFile) -> None:
    assert (train.rows[-1]["_step"], train.rows[-1]["examples._type"]) == (STEPS + 1, "table-file")


def test_nothing_of_the_machine_and_no_secret_is_written(told: tuple[FinetuneJob, Recorder]) -> None:
    """Every file there is, names included, down to the library's logs."""
    files = [path for path in tracking_folder(told[0]).rglob("*") if path.is_file()]
    assert len(files) > 10
    for file in files:
        assert b"marker-" not in file.read_bytes(), file
        assert "marker-" not in str(file.relative_to(tracking_folder(told[0])))


def test_offline_asks_nobody(tmp_path: Path) -> None:
    with serving() as server:
        job = tracked_job(tmp_path)
        assert job.tracking is not None
        job = job.model_copy(update={"tracking": job.tracking.model_copy(update={"base_url": server.url})})
        with open_tracker(job, Recorder(), patience_s=PATIENCE_S) as tracker:
            tell_all(tracker, job)
        assert not server.asked


def test_a_training_that_goes_on_goes_on_with_its_runs(tmp_path: Path) -> None:
    job = tracked_job(tmp_path)
    with open_tracker(job, Recorder(), patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
        tell_steps(tracker, last=12)
    with open_tracker(job, Recorder(), patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
        tell_steps(tracker, first=11)
        tell_end(tracker, job)
    runs = [run for run in runs_in(tracking_folder(job)) if run.id.endswith("-train")]
    assert {run.id for run in runs} == {f"{job.job_id}-train"}
    assert {row["_step"] for run in runs for row in run.rows if "loss" in row} == set(range(1, STEPS + 1))


def test_a_training_that_failed_is_marked_so(tmp_path: Path) -> None:
    job = tracked_job(tmp_path)
    with pytest.raises(KeyError), open_tracker(job, Recorder(), patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
        raise KeyError
    (exit_code,) = (r.exit.exit_code for r in runs_in(tracking_folder(job))[1].records if r.HasField("exit"))
    assert exit_code == 1


def test_a_blend_is_named_after_everybody(tmp_path: Path) -> None:
    job, recorder = tracked_job(tmp_path, persona="a+b", shares={"a": 0.7, "b": 0.3}), Recorder()
    with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
    assert [artifact.name for artifact in runs_in(tracking_folder(job))[0].artifacts] == ["tweets-a-b", "dataset-a-b"]


def test_a_job_that_is_not_tracked_is_told_to_nobody(tmp_path: Path) -> None:
    job, recorder = tracked_job(tmp_path).model_copy(update={"tracking": None}), Recorder()
    with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
        tell_all(tracker, job)
    assert recorder.events == []


@given(st.text(min_size=1, max_size=200))
def test_every_handle_makes_a_name_that_wandb_takes(handle: str) -> None:
    name = artifact_name(handle)
    assert wandb.Artifact(f"dataset-{name}", "train-dataset").name == f"dataset-{name}"


@given(st.lists(st.text(alphabet="aé@-.ж", min_size=1, max_size=6), min_size=2, max_size=8, unique=True))
def test_different_handles_have_different_names(handles: list[str]) -> None:
    assert len({artifact_name(handle) for handle in handles}) == len(handles)
