"""One training as W&B shows it: the runs, artifacts and names of huggingtweets, told to the real `wandb` library.

    tweets-{name} ──► @{h}-preprocess ──► dataset-{name} ──► @{h}-train ──► {name}
                                             the base ──────────▲

Offline, the library refuses `use_artifact`, since it would ask the server; online, it waits for the answer. What that
method does with an artifact that is not logged yet is to log it, marked to be used once it is there. We do that part,
in both modes: the record is written, and the server, now or at `wandb sync`, takes equal content for the same artifact.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import wandb
from pydantic import JsonValue

from trainer.protocol import Evaluated, FinetuneJob, Sample, Step, Tracked, Tracking, Warned
from trainer.stream import Emit
from trainer.tracking.disk import first_error, mark_synced
from trainer.tracking.figures import figures
from trainer.tracking.lines import AnyLine, Begun, End, Preprocessed, Result, Told

LONGEST_NAME = 112
"""Of 128 that W&B takes; `dataset-` and the like stand before it."""
INIT_WAIT_S = 15.0
FINISH_WAIT_S = 50.0
"""Less than the trainer waits, so that it is W&B that gives up."""
GOES_ON = "The training goes on; what W&B wrote stays on disk, and `mynah wandb sync` uploads it."
_VERSIONS = ("mynah", "torch", "transformers", "peft", "tokenizers", "safetensors", "wandb")
_NAMED_PLACES = ("_name_or_path", "name_or_path", "base_model_name_or_path")

_SETTINGS = wandb.Settings(
    root_dir=".",
    silent=True,
    console="off",
    reinit="finish_previous",
    symlink=False,
    init_timeout=INIT_WAIT_S,
    finish_timeout=FINISH_WAIT_S,
    finish_timeout_raises=True,
    x_transaction_log_flush_interval=1.0,
    # nothing of this machine, its owner, or their other work
    email="",
    program="mynah",
    x_executable="python",
    disable_code=True,
    save_code=False,
    disable_git=True,
    x_disable_meta=True,
    x_disable_stats=True,
    x_disable_machine_info=True,
    x_save_requirements=False,
)

JobType = Literal["preprocess", "train"]


class Runs:
    """Takes the lines of one training, in order."""

    def __init__(self, job: FinetuneJob, tracking: Tracking, emit: Emit) -> None:
        self._job, self._tracking, self._emit = job, tracking, emit
        self._mode: Literal["online", "offline"] = tracking.mode
        self._handle = "-".join(job.shares) if job.shares else job.persona
        self._name = artifact_name(self._handle)
        self._shelf = Path("shelf", job.job_id)  # what W&B is yet to upload; another training must not overwrite it
        self._shelf.mkdir(parents=True, exist_ok=True)
        self._run: wandb.Run | None = None
        self._dataset: tuple[Path, dict[str, JsonValue]] | None = None
        self._step = 0
        self._samples: list[Sample] = []

    def take(self, line: AnyLine) -> None:
        """Tell W&B.

        Raises:
            wandb.Error, OSError: where W&B or the disk refuses; the next line can be taken all the same.
        """
        match line:
            case Preprocessed():
                self._preprocess(line)
            case Begun():
                self._begin(line)
            case Told():
                self._hear(line)
            case Result():
                self._keep(line.folder)
            case End():
                self.end(failed=line.failed)

    def end(self, *, failed: bool) -> None:
        """Close the run that is open, if one is."""
        if self._run is None:
            return
        self._show_samples()
        self._finish(failed=failed)

    def _preprocess(self, line: Preprocessed) -> None:
        self._open("preprocess", {"counted": line.counted.model_dump(mode="json", exclude={"corpus"})})
        try:
            self._tell_data(line)
        finally:
            self._finish(failed=False)

    def _tell_data(self, line: Preprocessed) -> None:
        posts = wandb.Artifact(f"tweets-{self._name}", "raw-dataset", metadata={"handle": self._handle})
        posts.add_file(str(line.posts), "tweets.jsonl", skip_cache=True)
        self._use(posts)
        recipe = self._job.recipe
        about: dict[str, JsonValue] = {
            "handle": self._handle,
            "seed": self._job.seed,
            "epochs": recipe.epochs,
            "version": _version("mynah"),
        }
        corpus = self._shelf / "corpus.jsonl"
        shutil.copyfile(line.corpus, corpus)  # both runs name these very bytes
        self._dataset = corpus, about
        self._log(self._dataset_artifact())

    def _begin(self, line: Begun) -> None:
        started, recipe = line.started, self._job.recipe
        base = _last_part(started.base)
        config: dict[str, JsonValue] = {
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _VERSIONS}},
            "model": {key: value for key, value in line.architecture.items() if key not in _NAMED_PLACES},
            "recipe": recipe.model_dump(mode="json"),
            "seed": started.seed,
            "base": base,
            "base_sha256": started.base_hash,
            "device": started.device,
            "precision": started.precision,
        }
        self._open("train", config)
        if self._dataset is not None:
            self._use(self._dataset_artifact())
        weights = wandb.Artifact(artifact_name(base), "pretrained-model", metadata={"sha256": started.base_hash})
        weights.add_reference(f"urn:sha256:{started.base_hash}", name="weights", checksum=False)  # named, not uploaded
        self._use(weights)

    def _hear(self, line: Told) -> None:
        event = line.event
        if isinstance(event, Sample):
            self._samples = [*(sample for sample in self._samples if sample.step == event.step), event]
        elif values := figures(event):
            self._write(event.step if isinstance(event, (Step, Evaluated)) else 0, values)

    def _show_samples(self) -> None:
        """The last samples as a table, at the very end: alone of all that is logged, a table waits for the server."""
        if self._run is None or not self._samples:
            return
        self._run.log({}, step=self._step, commit=True)  # the last figures do not wait with it
        table = wandb.Table(["Input", "Prediction"], [[sample.prompt, sample.text] for sample in self._samples])
        self._samples = []
        self._write(self._step + 1, {"examples": table})

    def _write(self, step: int, values: dict[str, float] | dict[str, wandb.Table]) -> None:
        """At this step or, since W&B's only go forward, at the last one."""
        self._step = max(self._step, step)
        if self._run is not None:
            self._run.log(dict(values), step=self._step)

    def _keep(self, folder: Path) -> None:
        about = {"handle": self._handle, "recipe": self._job.recipe.name, "seed": self._job.seed}
        model = wandb.Artifact(self._name, "finetuned-model", metadata=about)
        for path in sorted(folder.iterdir()):
            if path.is_file():
                model.add_file(str(self._at_hand(path)), path.name, policy="immutable", skip_cache=True)
        self._log(model)

    def _at_hand(self, path: Path) -> Path:
        """The file in this folder: a second name for the same bytes where the disk allows it, else a copy."""
        here = self._shelf / path.name
        here.unlink(missing_ok=True)
        try:
            os.link(path, here)
        except OSError:
            shutil.copyfile(path, here)
        return here

    def _dataset_artifact(self) -> wandb.Artifact:
        assert self._dataset is not None
        path, about = self._dataset
        dataset = wandb.Artifact(f"dataset-{self._name}", "train-dataset", metadata=about)
        dataset.add_file(str(path), "corpus.jsonl", policy="immutable", skip_cache=True)
        return dataset

    def _open(self, job_type: JobType, config: dict[str, JsonValue]) -> None:
        """A run, online if W&B lets us, else offline; the same training, started again, goes on with the same run."""
        try:
            self._run = self._init(job_type, config)
        except wandb.Error as error:
            if self._mode == "offline":
                raise
            self._mode = "offline"
            self._emit(
                Warned(
                    message=f"W&B did not take this training: {in_a_line(error)}",
                    hint="It is tracked on disk; `mynah wandb sync` uploads it.",
                )
            )
            wandb.teardown()  # its own process still holds the run that was refused
            self._run = self._init(job_type, config)
        self._emit(Tracked(job_type=job_type, run_id=self._run.id, url=self._run.url or ""))

    def _init(self, job_type: JobType, config: dict[str, JsonValue]) -> wandb.Run:
        return wandb.init(
            project=self._tracking.project,
            entity=self._tracking.entity or None,
            id=f"{self._job.job_id}-{job_type}",
            name=f"@{self._handle}-{job_type}",
            job_type=job_type,
            config=config,
            mode=self._mode,
            resume="allow",
            settings=_SETTINGS,
        )

    def _use(self, artifact: wandb.Artifact) -> None:
        self._hand_over(artifact, used=True)

    def _log(self, artifact: wandb.Artifact) -> None:
        self._hand_over(artifact, used=False)

    def _hand_over(self, artifact: wandb.Artifact, *, used: bool) -> None:
        """As the library does offline: its own process takes it from here, and nobody waits for the server."""
        if self._run is None or self._run._interface is None:
            return
        artifact.finalize()
        self._run._interface.publish_artifact(
            self._run, artifact, ["latest"], is_user_created=used, use_after_commit=used
        )

    def _finish(self, *, failed: bool) -> None:
        """Close the run. W&B's own process keeps what it could not do to its log; that is warned of."""
        run, self._run, self._step = self._run, None, 0
        if run is None:
            return
        run.finish(exit_code=1 if failed else 0)
        if trouble := first_error(Path(run.settings.log_internal)):
            self._emit(Warned(message=f"W&B did not keep all of this training: {trouble}", hint=GOES_ON))
        elif self._mode == "online":
            mark_synced(Path(run.settings.sync_file))


def artifact_name(text: str) -> str:
    """The text as W&B takes it for an artifact's name; what had to be changed or cut is told apart by a hash."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
    if plain == text and len(plain) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_NAME - 9]}-{digest}".lstrip("-")


def in_a_line(error: Exception) -> str:
    """A library's error in one line, and without the paths that the system's errors carry."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), "").strip() or type(error).__name__


def _last_part(base: str) -> str:
    """A base's name without its folder, which may be one of this machine."""
    return base.rstrip("/").rsplit("/", 1)[-1]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
