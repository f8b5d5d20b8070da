"""An exported persona goes to the Hub: a private repository, unless asked otherwise, and all files in one commit.

Files already there are not sent again, so a push that was cut goes on with the file that it was cut in. Weights travel
by Git LFS (`HF_HUB_DISABLE_XET=1`, which `trainer.__main__` sets): every Hub has it, and it needs no other host.
"""

from __future__ import annotations

import stat
from json import JSONDecodeError
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from trainer.card import write_card
from trainer.hub import Hub, connect, patiently, troubles_in_words
from trainer.manifest import pack
from trainer.protocol import JobFailed, Pushed, PushJob
from trainer.stream import Emit

_STALE = ["adapter/*", "*.safetensors"]
"""Of an older version: weights that the new one does not have are removed by the same commit."""


def push(job: PushJob, emit: Emit) -> None:
    """Put the adapter and `mynah.json` into the folder, upload it, and say where it is.

    Raises:
        JobFailed: kind `refused`, `unreachable` or `bad_job`.
    """
    _check(job.folder)
    if job.weights_dir is not None and job.manifest is not None:
        pack(job.folder, job.weights_dir, job.manifest)
    hub = connect(job.hub_url)
    if hub.token is None:
        raise JobFailed(
            "refused",
            "There is no token to push with.",
            "Make one with the right to write at huggingface.co/settings/tokens and set HF_TOKEN to it.",
        )
    with troubles_in_words(hub, job.repo):
        repo = job.repo if "/" in job.repo else f"{_owner(hub)}/{job.repo}"
        patiently(lambda: hub.api.create_repo(repo, private=job.private, exist_ok=True))
        if job.private and patiently(lambda: hub.api.repo_info(repo)).private is False:
            raise JobFailed(
                "refused",
                f"The repository {repo} is there already, and public.",
                "Make it private on its page, name another, or ask for a public push.",
            )
        if job.card is not None:
            facts = job.card.facts.model_copy(update={"repo": repo})
            write_card(job.card.model_copy(update={"facts": facts}), emit)
        commit = patiently(lambda: _upload(hub, repo, job.folder))
    emit(Pushed(repo=repo, url=f"{hub.url}/{repo}", commit=commit))


def _check(folder: Path) -> None:
    """A model, and nothing that leads out of its folder: the library would follow links, and publish what is there."""
    if not (folder / "config.json").is_file():
        raise JobFailed("bad_job", f"The folder {folder} holds no model.", "Give the folder that an export wrote.")
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise JobFailed("bad_job", f"{path} is a link, not a file.", "Put the file itself there, or remove it.")


def _owner(hub: Hub) -> str:
    """Whose token it is."""
    return str(patiently(hub.api.whoami)["name"])


def _upload(hub: Hub, repo: str, folder: Path) -> str:
    try:
        info = hub.api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message="Upload from Mynah", delete_patterns=_STALE
        )
    except (HFValidationError, HfHubHTTPError, JSONDecodeError):  # all three are told elsewhere, and a ValueError
        raise
    except ValueError as error:
        if "README.md" in str(error):
            message, hint = "The Hub does not accept the metadata of README.md.", "Write the card anew: `mynah card`."
            raise JobFailed("bad_job", message, hint) from error
        raise JobFailed(
            "unreachable",
            f"The Hub at {hub.name} answers an upload in a way that is not understood.",
            "Try again later; if it stays so, check the setting `urls.hub`.",
        ) from error
    return info.oid
