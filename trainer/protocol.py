"""What crosses the line between bot and trainer: one job in on stdin, events out on stdout, one JSON object a line.

Types only, and the same types validate at run time on both sides. An event that a reader does not know is logged and
passed over, so that an older bot can listen to a newer trainer. Nothing else may print to the trainer's stdout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainer.recipes import Recipe, Sampling


class JobFailed(Exception):
    """A job that cannot go on. `kind` is for programs, `message` and `hint` are for the person."""

    def __init__(self, kind: FailureKind, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.kind: FailureKind = kind
        self.message = message
        self.hint = hint


FailureKind = Literal[
    "bad_job", "too_few_posts", "base_missing", "out_of_memory", "diverged", "disk_full", "corrupt", "internal"
]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Job(_Message):
    version: Literal[1] = 1
    job_id: str
    base: str
    """A name of `trainer.catalog`, a Hub id, a folder or a .gguf file."""
    cache_dir: Path
    """Where converted bases are kept between jobs."""
    hub_url: str = ""
    """Base URL of the Hub; empty for the public one."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 0
    """CPU threads; 0 takes what torch chooses."""
    nice: int = 19
    """How far the process steps back from others on a CPU, as `nice` has it."""
    parent_pid: int = 0
    """The process whose death ends this one; 0 for none."""


class FinetuneJob(_Job):
    """Learn a voice from posts. The same job, given again with the same `work_dir`, goes on from its checkpoint."""

    task: Literal["finetune"] = "finetune"
    persona: str
    posts: Path
    """JSON lines: {"id", "created_at" (ISO 8601 or null), "text", "kind"}."""
    work_dir: Path
    recipe: Recipe
    seed: int = Field(ge=0, lt=2**32)
    min_characters: int = 6_000
    warn_characters: int = 40_000
    sample_prompts: tuple[str, ...] = ("", "My dream is", "I think")


class ExportJob(_Job):
    """Write a folder that `transformers.pipeline` loads, with an adapter merged into its base."""

    task: Literal["export"] = "export"
    weights_dir: Path
    """A folder with `adapter_model.safetensors` + `adapter_config.json`, or `model.safetensors` + `config.json`."""
    out_dir: Path
    sampling: Sampling = Sampling()


class ScoreJob(_Job):
    """Bits per byte of texts under a finished clone, in fp32: the yardstick that the voice is held against."""

    task: Literal["score"] = "score"
    weights_dir: Path | None
    """None scores the base alone."""
    texts: Path
    """JSON lines with a cleaned "text" each."""


AnyJob = FinetuneJob | ExportJob | ScoreJob


class File(_Message):
    name: str
    path: Path
    sha256: str
    size_bytes: int


class Started(_Message):
    event: Literal["started"] = "started"
    job_id: str
    device: str
    precision: str
    base: str
    base_hash: str
    seed: int = 0
    resumed_at_step: int = 0


class Counted(_Message):
    """The data table: always downloaded = reposts + short + kept."""

    event: Literal["counted"] = "counted"
    downloaded: int
    reposts: int
    short: int
    kept: int
    duplicates: int
    """Kept posts whose cleaned text was there before; left out of training by recipes that dedupe."""
    quoted: int = 0
    """Kept posts that quote somebody else by hand; left out of training by recipes that drop quotes."""
    characters: int
    train: int
    heldout: int
    warning: str = ""
    corpus: File | None = None
    """JSON lines {"id", "split": "train" | "heldout", "text"}: what was learned from, and what was kept aside."""


class Step(_Message):
    event: Literal["step"] = "step"
    step: int
    of: int
    loss: float
    tokens_per_s: float
    eta_s: float


class Evaluated(_Message):
    event: Literal["evaluated"] = "evaluated"
    stage: Literal["before", "during", "after"]
    step: int
    bits_per_byte: float
    posts: int
    best: bool = False


class Sample(_Message):
    event: Literal["sample"] = "sample"
    step: int
    prompt: str
    text: str


class Saved(_Message):
    event: Literal["saved"] = "saved"
    method: Literal["lora", "full", "export"]
    files: tuple[File, ...]


class Failed(_Message):
    event: Literal["failed"] = "failed"
    kind: FailureKind
    message: str
    hint: str


class Finished(_Message):
    event: Literal["finished"] = "finished"
    reason: Literal["completed", "early_stop", "checkpointed"]
    step: int = 0
    seconds: float = 0.0


AnyEvent = Started | Counted | Step | Evaluated | Sample | Saved | Failed | Finished

JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="task")])
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])
