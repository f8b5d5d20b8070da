"""What crosses the line between bot and trainer: one job in on stdin, events out on stdout, one JSON object a line.

Types only, and the same types validate at run time on both sides. An event that a reader does not know is logged and
passed over, so that an older bot can listen to a newer trainer. Nothing else may print to the trainer's stdout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainer.card_facts import CardFacts
from trainer.manifest import Manifest
from trainer.recipes import Recipe, Sampling
from trainer.report import DriftReport, QualityReport, RerankReport


class JobFailed(Exception):
    """A job that cannot go on. `kind` is for programs, `message` and `hint` are for the person."""

    def __init__(self, kind: FailureKind, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.kind: FailureKind = kind
        self.message = message
        self.hint = hint


FailureKind = Literal[
    "bad_job",
    "too_few_posts",
    "base_missing",
    "out_of_memory",
    "diverged",
    "disk_full",
    "corrupt",
    "refused",
    "unreachable",
    "internal",
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


class Previous(_Message):
    """The version of the same persona that speaks until now."""

    weights_dir: Path
    learned: Path
    """The ids of the posts that it was trained on, one a line."""
    known: Path | None = None
    """The ids of those and of the ones that were held out: without any other, there is nothing new."""
    go_on: bool = False
    """Begin with its weights and learn what is new, with old posts replayed; otherwise it is only compared with."""
    replay: float = Field(default=1.0, ge=0)
    """Characters of old posts that are heard again, for each character of new ones."""


class Tracking(_Message):
    """How a training is tracked with W&B; the key, where there is one, comes from the environment."""

    mode: Literal["online", "offline"]
    project: str
    entity: str = ""
    base_url: str = ""
    """Empty for the public one."""
    folder: Path
    """Where everything lies that W&B writes for this clone."""


class FinetuneJob(_Job):
    """Learn a voice from posts. The same job, given again with the same `work_dir`, goes on from its checkpoint."""

    task: Literal["finetune"] = "finetune"
    persona: str
    """Its handle; that of a blend names everybody."""
    posts: Path
    """JSON lines: {"id", "created_at" (ISO 8601 or null), "text", "kind"}, and "person" (a handle) in a blend."""
    work_dir: Path
    recipe: Recipe
    seed: int = Field(ge=0, lt=2**32)
    min_characters: int = 6_000
    """For each person."""
    warn_characters: int = 40_000
    shares: dict[str, float] | None = None
    """A blend: the share of each person, by characters; they add up to 1."""
    previous: Previous | None = None
    sample_prompts: tuple[str, ...] = ("", "My dream is", "I think")
    judged_samples: int = Field(default=100, ge=0)
    """Samples by which the result is judged; 0 judges nothing but held-out bits per byte."""
    others: Path | None = None
    """JSON lines {"person", "text"} of other personas' cleaned posts, for `who said it`."""
    tracking: Tracking | None = None


class EvaluateJob(_Job):
    """Judge a finished clone, on posts that it never trained on."""

    task: Literal["evaluate"] = "evaluate"
    persona: str
    weights_dir: Path
    corpus: Path
    """JSON lines {"id", "split", "text"}, as `counted` names it."""
    others: Path | None = None
    recipe: Recipe
    samples: int = Field(default=200, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)


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


class CardJob(_Job):
    """Write a model card: README.md, its pictures, predictions.png and card.html."""

    task: Literal["card"] = "card"
    facts: CardFacts
    corpus: Path | None = None
    """JSON lines with a "text" each, to detect the languages from."""
    out_dir: Path
    """Made where it is not there; files of an older card in it are replaced, others left."""


class PushJob(_Job):
    """Upload a folder to the Hub. The token comes from the environment (HF_TOKEN)."""

    task: Literal["push"] = "push"
    folder: Path
    """An exported model, with its card."""
    card: CardJob | None = None
    """Written into the folder once it is known where on the Hub it will be."""
    manifest: Manifest | None = None
    """What `mynah.json` says; None pushes the folder as it is."""
    weights_dir: Path | None = None
    """What the export was made from; its adapter travels beside the whole model."""
    repo: str
    """`name`, which goes to the token's owner, or `owner/name`."""
    private: bool = True


class AdoptJob(_Job):
    """Bring in a model that was made elsewhere: from the Hub, or from a folder."""

    task: Literal["adopt"] = "adopt"
    origin: str
    """A folder, or a Hub id."""
    work_dir: Path


class RerankJob(_Job):
    """Learn from a person's choices which of several texts they would take."""

    task: Literal["rerank"] = "rerank"
    choices: Path
    """JSON lines {"chosen", "features"}: figures without text."""
    names: tuple[str, ...]
    """What the figures are."""
    seed: int = Field(default=0, ge=0, lt=2**32)


AnyJob = FinetuneJob | EvaluateJob | ExportJob | ScoreJob | CardJob | PushJob | AdoptJob | RerankJob


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


class PersonCounted(_Message):
    """One person's row of a blend's data table."""

    person: str
    downloaded: int
    reposts: int
    short: int
    kept: int
    characters: int
    share: float
    """Of the characters that are trained on in an epoch."""


class Counted(_Message):
    """The data table: always downloaded = reposts + short + kept."""

    event: Literal["counted"] = "counted"
    people: tuple[PersonCounted, ...] = ()
    """Of a blend."""
    downloaded: int
    reposts: int
    short: int
    kept: int
    duplicates: int
    """Kept posts that are not learned again: their cleaned text was there before (where the recipe dedupes), or a newer
    post has their form (where it learns forms once)."""
    quoted: int = 0
    """Kept posts that quote somebody else by hand; left out of training by recipes that drop quotes."""
    characters: int
    train: int
    heldout: int
    warning: str = ""
    corpus: File | None = None
    """JSON lines {"id", "split": "train" | "heldout", "text"}: what was learned from, and what was kept aside."""
    new: int | None = None
    """Posts to learn from that the version before did not learn from, where training goes on from it."""


class Step(_Message):
    event: Literal["step"] = "step"
    step: int
    of: int
    loss: float
    learning_rate: float = 0.0
    tokens_per_s: float
    eta_s: float


class Evaluated(_Message):
    event: Literal["evaluated"] = "evaluated"
    stage: Literal["before", "during", "after"]
    """before: the base; during: a quick look at a part of the posts; after: the result."""
    step: int
    bits_per_byte: float
    posts: int
    best: bool = False


class Compared(_Message):
    """Old and new version on the held-out posts that neither learned from."""

    event: Literal["compared"] = "compared"
    posts: int
    bits_per_byte_previous: float
    bits_per_byte: float


class Judged(_Message):
    """How good the finished clone is."""

    event: Literal["judged"] = "judged"
    report: QualityReport
    examples: tuple[str, ...] = ()
    """The samples that it was judged by."""


class Drifted(_Message):
    """What changed in a person's posts since the version before."""

    event: Literal["drifted"] = "drifted"
    report: DriftReport


class Sample(_Message):
    event: Literal["sample"] = "sample"
    step: int
    prompt: str
    text: str


class Saved(_Message):
    event: Literal["saved"] = "saved"
    method: Literal["lora", "full", "export", "card"]
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


class Pushed(_Message):
    event: Literal["pushed"] = "pushed"
    repo: str
    """`owner/name`."""
    url: str
    commit: str


class Adopted(_Message):
    """What was brought in; `saved` names its files."""

    event: Literal["adopted"] = "adopted"
    base: str
    """For an adapter, the base it was made for, by the name it has here; for a whole model, where it came from."""
    base_hash: str
    sampling: Sampling
    display_name: str = ""
    handle: str = ""
    """As its card tells it; empty where it has none."""


class Tracked(_Message):
    """A W&B run of this training; no url where it is offline."""

    event: Literal["tracked"] = "tracked"
    job_type: Literal["preprocess", "train"]
    run_id: str
    url: str = ""


class Ranked(_Message):
    """The choices were learned from."""

    event: Literal["ranked"] = "ranked"
    report: RerankReport


class Warned(_Message):
    """Something beside the training went wrong; the training goes on."""

    event: Literal["warned"] = "warned"
    message: str
    hint: str = ""


AnyEvent = (
    Started
    | Counted
    | Step
    | Evaluated
    | Compared
    | Judged
    | Drifted
    | Sample
    | Pushed
    | Adopted
    | Tracked
    | Ranked
    | Warned
    | Saved
    | Failed
    | Finished
)

JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="task")])
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])
