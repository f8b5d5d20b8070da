"""The way to the Hub: its address, the token, a client that never waits for ever, and its troubles in words.

The token comes from the environment (`trainer.tokens`) and stays in the client: no message, event or log holds it,
and `huggingface_hub` sends it to no other host. Nothing else is sent than what a person asked for: telemetry is off
(`trainer.__main__`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import (
    FileMetadataError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from trainer.protocol import JobFailed
from trainer.tokens import read_token

RETRY_WAITS_S = (1.0, 4.0)
"""Between attempts at one request; within an upload of a file, `huggingface_hub` has a back-off of its own."""

TIMEOUT = httpx2.Timeout(connect=15.0, read=120.0, write=120.0, pool=None)
"""Seconds without any progress. `huggingface_hub` sets none: a server that falls silent would hold the job for ever."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True)
class Hub:
    """A Hub, and the right to use it."""

    url: str
    """Without a slash at its end."""
    api: HfApi = field(repr=False)
    token: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """Its host, for sentences."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def connect(hub_url: str) -> Hub:
    """The Hub at a base URL; empty for the public one. Nothing is sent yet.

    Raises:
        JobFailed: kind `refused`, where the token cannot be read or is no token.
    """
    token = read_token("HF_TOKEN")
    url = (hub_url or constants.ENDPOINT).rstrip("/")
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=TIMEOUT))
    disable_progress_bars()
    # False, not None: with None the library looks for a token in places that the person did not name to us.
    return Hub(url, HfApi(endpoint=url, token=token or False, library_name="mynah"), token)


def patiently(request: Callable[[], T]) -> T:
    """Do a request of the Hub, and once more after a while where only the network or the server stumbled."""
    for wait_s in RETRY_WAITS_S:
        try:
            return request()
        except (httpx2.TransportError, HfHubHTTPError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code not in _TRANSIENT:
                raise
            if isinstance(error, httpx2.ConnectError):  # nobody is there: say so at once
                raise
        time.sleep(wait_s)
    return request()


@contextmanager
def troubles_in_words(hub: Hub, repo: str) -> Iterator[None]:
    """Turn what goes wrong with a repository into a sentence and what to do.

    Raises:
        JobFailed: kind `refused`, `unreachable` or `bad_job`.
    """
    try:
        yield
    except HFValidationError as error:
        raise JobFailed(
            "bad_job",
            f"{repo!r} is no name of a repository.",
            "Write `name` or `owner/name`: letters, digits, `-`, `_` and `.`, at most 96 of them.",
        ) from error
    except (
        httpx2.TransportError,
        HfHubHTTPError,
        FileMetadataError,
        OfflineModeIsEnabled,
        LocalEntryNotFoundError,
        RuntimeError,
        json.JSONDecodeError,
    ) as error:
        failure = _explain(_root(error), hub, repo)
        if failure is None:
            raise
        raise failure from error


def _root(error: BaseException) -> BaseException:
    """What lies below the library's own `Error while uploading …` and `cannot find the file`."""
    while isinstance(error, RuntimeError | LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _explain(error: BaseException, hub: Hub, repo: str) -> JobFailed | None:
    if isinstance(error, HfHubHTTPError):
        return _answered(error.response.status_code, hub, repo)
    if isinstance(error, OfflineModeIsEnabled):
        return JobFailed("unreachable", "HF_HUB_OFFLINE forbids to use the Hub.", "Unset it, then try again.")
    if isinstance(error, FileMetadataError | json.JSONDecodeError):
        return JobFailed("unreachable", f"What answers at {hub.name} is no Hub.", "Check the setting `urls.hub`.")
    if isinstance(error, httpx2.TransportError | LocalEntryNotFoundError):
        what = "broke the connection"
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            what = "cannot be reached"
        elif isinstance(error, httpx2.TimeoutException):
            what = "does not answer"
        return JobFailed(
            "unreachable",
            f"The Hub at {hub.name} {what}.",
            "Check the network and the setting `urls.hub`, then try again: it goes on where it was.",
        )
    return None


def _answered(status: int, hub: Hub, repo: str) -> JobFailed:
    """An error's status → a sentence. The Hub answers 401 also for what is not there, if no token came along."""
    if status in (401, 403):
        if hub.token is None:
            hint = "Check the name; for a private repository, set HF_TOKEN to a token that may read it."
        else:
            hint = f"Check that HF_TOKEN is valid, not expired, and has the right to write or read {repo}."
        return JobFailed("refused", f"The Hub at {hub.name} refuses {repo} ({status}).", hint)
    if status == 404:
        return JobFailed(
            "bad_job",
            f"The Hub at {hub.name} has no repository {repo}, or hides it.",
            "Check the name, and that HF_TOKEN may read it.",
        )
    if status in _TRANSIENT or status >= 500:
        return JobFailed(
            "unreachable",
            f"The Hub at {hub.name} does not manage at present ({status}).",
            "Try again later: it goes on where it was.",
        )
    return JobFailed(
        "refused",
        f"The Hub at {hub.name} does not accept this for {repo} ({status}).",
        "Look at the repository's page and your account's limits there.",
    )
