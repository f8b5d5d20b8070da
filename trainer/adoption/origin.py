"""Where a model comes from, a folder or the Hub, and how its files are brought into a folder of ours.

Only files that a model is known to have are ever looked at, by their exact names, so that no name leads elsewhere.
Links are not followed, and sizes are known and judged before anything is brought.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from trainer import manifest
from trainer.hub import Hub, connect, patiently, troubles_in_words
from trainer.protocol import AdoptJob, JobFailed

CONFIG = "config.json"
CARD = "README.md"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json")
DESCRIPTIONS = frozenset(
    {
        *(CONFIG, CARD, GENERATION_CONFIG, TOKENIZER_CONFIG, *TOKENIZER_FILES),
        *(manifest.FILENAME, manifest.ADAPTER_CONFIG, f"{manifest.ADAPTER_FOLDER}/{manifest.ADAPTER_CONFIG}"),
    }
)
"""What is brought first, since it decides what else is wanted."""

MAX_DESCRIPTION_BYTES = 64_000_000
MAX_WEIGHTS_BYTES = 16_000_000_000

_WEIGHTS = re.compile(
    r"(adapter/)?adapter_model\.(safetensors|bin)|(model|pytorch_model)(-\d{5}-of-\d{5})?\.(safetensors|bin)"
)


class Origin(Protocol):
    """A place that has a model's files."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The files of a model that are there, with their sizes in bytes; names are relative, with `/`."""

    def bring(self, names: Collection[str], folder: Path) -> None:
        """Put files into a folder, under the same names, as plain files.

        Raises:
            JobFailed: where one is too large, or cannot be had.
        """


def open_origin(job: AdoptJob) -> Origin:
    """What a job names: a folder if there is one, else a repository of the Hub.

    Raises:
        JobFailed: where it is neither, or its files are links.
    """
    folder = Path(job.origin).expanduser()
    if folder.is_dir():
        return _Folder(folder.resolve(), _sizes_of(folder.resolve()))
    if folder.exists() or folder.is_absolute() or job.origin.startswith((".", "~")):
        raise JobFailed("bad_job", f"There is no folder {job.origin}.", "Name a folder with a model, or a Hub id.")
    return _open_repository(connect(job.hub_url), job.origin)


@dataclass(frozen=True)
class _Folder:
    path: Path
    sizes: Mapping[str, int]

    def bring(self, names: Collection[str], folder: Path) -> None:
        _check_sizes({name: self.sizes[name] for name in names})
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # What became a link since it was looked at is an error here.
            source = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(source, "rb") as reading, target.open("wb") as writing:
                shutil.copyfileobj(reading, writing)


@dataclass(frozen=True)
class _Repository:
    hub: Hub
    repo: str
    commit: str
    sizes: Mapping[str, int]

    def bring(self, names: Collection[str], folder: Path) -> None:
        _check_sizes({name: self.sizes[name] for name in names})
        with troubles_in_words(self.hub, self.repo):
            for name in sorted(names):
                patiently(partial(self._download, name, folder))

    def _download(self, name: str, folder: Path) -> None:
        """Into a folder of ours, not into the library's cache, which is made of links."""
        self.hub.api.hf_hub_download(self.repo, name, revision=self.commit, local_dir=folder)


def _open_repository(hub: Hub, repo: str) -> _Repository:
    with troubles_in_words(hub, repo):
        info = patiently(lambda: hub.api.model_info(repo, files_metadata=True))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or [] if _belongs(file.rfilename)}
    if info.sha is None:
        raise JobFailed("bad_job", f"The repository {repo} is empty.", "Check its name.")
    return _Repository(hub, repo, info.sha, sizes)


def _belongs(name: str) -> bool:
    return name in DESCRIPTIONS or _WEIGHTS.fullmatch(name) is not None


def _sizes_of(folder: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for parent in (folder, folder / manifest.ADAPTER_FOLDER):
        if not parent.is_dir():
            continue
        for path in sorted((parent, *parent.iterdir())):
            name = path.relative_to(folder).as_posix()
            if not _belongs(name) and name != manifest.ADAPTER_FOLDER:
                continue
            about = path.lstat()
            if stat.S_ISLNK(about.st_mode):
                raise JobFailed(
                    "refused",
                    f"{path} is a link, and links are not followed.",
                    "Copy the folder with its links resolved (`cp -rL`), and adopt the copy.",
                )
            if stat.S_ISREG(about.st_mode):
                sizes[name] = about.st_size
    return sizes


def _check_sizes(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if name in DESCRIPTIONS and size > MAX_DESCRIPTION_BYTES:
            raise JobFailed(
                "bad_job",
                f"{name} has {size:,} bytes; at most {MAX_DESCRIPTION_BYTES:,} are read.",
                "This is no file of a model as Mynah knows them.",
            )
    weights = sum(size for name, size in sizes.items() if name not in DESCRIPTIONS)
    if weights > MAX_WEIGHTS_BYTES:
        raise JobFailed(
            "bad_job",
            f"The weights have {weights:,} bytes; at most {MAX_WEIGHTS_BYTES:,} are taken.",
            "Adopt a smaller model.",
        )
