"""A model that was made elsewhere becomes a clone here: a folder or a repository → weights as a training leaves them.

Three kinds are known, looked for in this order: what Mynah pushed (its adapter, where the base is on this machine), a
LoRA adapter of peft, and a whole causal language model, such as a huggingtweets bot.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer import catalog, manifest
from trainer.adoption.adapter import take_adapter
from trainer.adoption.origin import DESCRIPTIONS, Origin, open_origin
from trainer.adoption.settings import Speaker, read_json, read_sampling, read_speaker, sane
from trainer.adoption.weights import read_weights
from trainer.adoption.whole import take_whole
from trainer.base import Base, prepare
from trainer.files import describe
from trainer.manifest import ADAPTER_CONFIG, ADAPTER_FOLDER, Manifest
from trainer.protocol import Adopted, AdoptJob, JobFailed, Saved
from trainer.result import FOLDER
from trainer.stream import Emit


@dataclass(frozen=True)
class _Choice:
    """What of an origin is taken."""

    method: Literal["lora", "full"]
    weights: list[str]
    """Names of its files."""
    base: Base | None = None
    """Of an adapter."""


def adopt(job: AdoptJob, emit: Emit) -> None:
    """Bring a model in, and say what it is.

    Raises:
        JobFailed: kind `refused` for what would run code, `corrupt`, `bad_job`, `base_missing` or `unreachable`.
    """
    brought, beside, result = (job.work_dir / name for name in ("brought", f"{FOLDER}.part", FOLDER))
    for folder in (beside, result):
        shutil.rmtree(folder, ignore_errors=True)
    brought.mkdir(parents=True, exist_ok=True)  # what an adoption before this one has brought is not fetched again
    origin = open_origin(job)
    origin.bring(DESCRIPTIONS & origin.sizes.keys(), brought)
    known = manifest.read(brought / manifest.FILENAME)
    choice = _choose(job, origin, brought, known)
    origin.bring(choice.weights, brought)
    files = [brought / name for name in choice.weights]
    tensors = read_weights(files)
    if choice.base is not None:
        take_adapter(read_json(files[0].parent / ADAPTER_CONFIG), files[0], tensors, choice.base, beside)
    else:
        take_whole(brought, job.origin, tensors, beside)
    beside.replace(result)
    base = choice.base or prepare(str(result), job.cache_dir)
    speaker = Speaker(known.display_name, known.handle) if known else read_speaker(brought)
    emit(
        Adopted(
            base=choice.base.name if choice.base else job.origin,
            base_hash=base.hash,
            sampling=sane(known.sampling.model_dump()) if known else read_sampling(brought),
            display_name=speaker.display_name,
            handle=speaker.handle,
        )
    )
    shutil.rmtree(brought)
    emit(Saved(method=choice.method, files=tuple(describe(path) for path in sorted(result.iterdir()))))


def _choose(job: AdoptJob, origin: Origin, brought: Path, known: Manifest | None) -> _Choice:
    ours = _files(origin, lambda name: name.startswith(f"{ADAPTER_FOLDER}/adapter_model."))
    base = _base_here(job, known) if known is not None and ours else None
    if base is not None:
        return _Choice("lora", ours[:1], base)
    theirs = _files(origin, lambda name: name.startswith("adapter_model."))
    if theirs and ADAPTER_CONFIG in origin.sizes:
        return _Choice("lora", theirs[:1], _base_named(job, str(read_json(brought / ADAPTER_CONFIG).get(_BASE_NAME))))
    whole = _files(origin, lambda name: name.startswith(("model", "pytorch_model")))
    if not whole or "config.json" not in origin.sizes:
        raise JobFailed(
            "bad_job",
            f"{job.origin} has no weights that can be adopted.",
            "A model has config.json with *.safetensors or pytorch_model.bin; an adapter, adapter_config.json.",
        )
    return _Choice("full", whole)


def _files(origin: Origin, wanted: Callable[[str], bool]) -> list[str]:
    """Weights by their names; safetensors where there are any, and a single file before its parts."""
    names = sorted(name for name in origin.sizes.keys() - DESCRIPTIONS if wanted(name))
    safe = [name for name in names if name.endswith(".safetensors")] or names
    return [name for name in safe if "-of-" not in name] or safe


_BASE_NAME = "base_model_name_or_path"


def _base_here(job: AdoptJob, known: Manifest) -> Base | None:
    """The base that a pushed adapter was trained on, if this machine has it: by its hash, whatever it is called."""
    for name in dict.fromkeys((job.base, *catalog.PACKAGED)):
        packaged = catalog.PACKAGED.get(name)
        if packaged is not None and (packaged.sha256 != known.base_hash or packaged.path() is None):
            continue
        if packaged is None and not Path(name).expanduser().exists() and name != known.base:
            continue  # a Hub id that is not the adapter's: not worth a download
        try:
            base = prepare(name, job.cache_dir, job.hub_url)
        except JobFailed:  # one that cannot be used is not here: the whole model serves as well
            continue
        if base.hash == known.base_hash:
            return base
    return None


def _base_named(job: AdoptJob, named: str) -> Base:
    """The base that an adapter names: one of the catalog, one on the Hub, or a folder if the adapter is local too."""
    for ours, on_the_hub in manifest.HUB_NAMES.items():
        if named.lower() in (ours, on_the_hub.lower()):
            return prepare(ours, job.cache_dir)
    if Path(job.origin).expanduser().is_dir() and Path(named).is_dir():
        return prepare(named, job.cache_dir)
    if Path(named).expanduser().exists():  # a stranger's name must not open what happens to lie here
        raise JobFailed(
            "base_missing",
            f"The adapter's base {named[:100]!r} is a path, and the adapter is not from here.",
            "Merge it into its base where it was made (`merge_and_unload`), and adopt the whole model.",
        )
    return prepare(named, job.cache_dir, job.hub_url)
