"""Pushes and adoptions against the local Hub, and what is pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tests.servers.hub import LocalHub
from trainer.manifest import Manifest
from trainer.protocol import AdoptJob, PushJob
from trainer.recipes import Sampling

TOKEN = "hf_SecretOfTheTests0123456789abcdefgh"
USER = "somebody"
REPO = f"{USER}/bot"

UPLOAD_WARNING = "ignore:Use 'content=:DeprecationWarning"
"""huggingface_hub 2.4 hands a file to httpx2 by an older name."""


def push_job(hub_url: str, folder: Path, repo: str = "bot", *, private: bool = True) -> PushJob:
    """`folder` holds a whole model, exported from itself."""
    return PushJob(
        job_id="push",
        base="none",
        cache_dir=folder,
        hub_url=hub_url,
        folder=folder,
        weights_dir=folder,
        manifest=manifest("full"),
        repo=repo,
        private=private,
    )


def manifest(method: Literal["lora", "full"], base: str = "gpt2", base_hash: str = "0" * 64) -> Manifest:
    return Manifest(
        handle="somebody",
        display_name="Some | <b>Body</b> 🦜",
        base=base,
        base_hash=base_hash,
        method=method,
        recipe="mynah",
        sampling=Sampling(temperature=0.8),
        version=3,
    )


def adopt_job(folder: Path, origin: Path | str, base: Path | str = "none", hub_url: str = "") -> AdoptJob:
    return AdoptJob(
        job_id="adopt",
        base=str(base),
        cache_dir=folder / "cache",
        hub_url=hub_url,
        origin=str(origin),
        work_dir=folder / "work",
    )


def write_model(folder: Path, weights: bytes = b"w" * 1000) -> Path:
    """A folder as an export leaves one, with weights that nobody has to load."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "README.md").write_text("---\nlanguage: en\n---\n# A card\n")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(hub: LocalHub, repo: str, folder: Path, *, private: bool = False) -> None:
    """Put a folder into a repository, as somebody had pushed it long ago."""
    hub.publish(repo, contents(folder), private=private)
