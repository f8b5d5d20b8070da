"""Where the `wandb` library runs: in the tracking folder, with nothing of this machine to tell.

Everything that W&B writes must lie in one folder, so that erasing a person erases it, and must name no path of this
machine, so that the folder can be moved and uploaded from elsewhere. The library makes its paths absolute; so it is
given the one absolute path that means "the folder where this process runs".
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trainer.protocol import Tracking

_HERE = "/proc/self/cwd"
"""Linux only; elsewhere the folder's own path stands in what W&B writes."""
_KEPT = (
    "PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LANG",
    "LC_ALL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
"""All that the library sees of the trainer's environment: no token, and no W&B setting of the machine's owner."""
_FOLDERS = {
    "WANDB_DIR": "",
    "WANDB_DATA_DIR": "",
    "WANDB_ARTIFACT_DIR": "artifacts",
    "WANDB_CACHE_DIR": "cache",
    "WANDB_CONFIG_DIR": "config",
    "HOME": "home",
    "TMPDIR": "tmp",
}
_DISCREET = {
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",  # the library's own telemetry
    "WANDB_HOST": "mynah",
    "WANDB_USERNAME": "mynah",
    "LOGNAME": "mynah",
}
_LOCK = "lock"


def environment(tracking: Tracking, surroundings: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that runs `wandb`; the key is in it only where it will be used."""
    here = _HERE if Path(_HERE).is_dir() else str(tracking.folder.absolute())
    kept = {name: surroundings[name] for name in _KEPT if name in surroundings}
    folders = {name: os.path.join(here, folder).rstrip("/") for name, folder in _FOLDERS.items()}
    settings = dict(_DISCREET)
    if tracking.base_url:
        settings["WANDB_BASE_URL"] = tracking.base_url
    if tracking.mode == "online" and "WANDB_API_KEY" in surroundings:
        settings["WANDB_API_KEY"] = surroundings["WANDB_API_KEY"]
    return kept | folders | settings


def enter(tracking: Tracking) -> None:
    """Go into the tracking folder, before `wandb` is imported."""
    tracking.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(tracking.folder)
    for folder in _FOLDERS.values():
        Path(folder).mkdir(exist_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """While this lasts, a training writes here; several may."""
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def uploading(folder: Path) -> Iterator[bool]:
    """While this lasts, nothing else writes here; False where a training does."""
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
