"""The pair of OAuth 2.0 tokens of the account that logged in: a file that its owner alone may read.

A refresh token works once, and X gives the next one in its answer. So the new pair is on the disk before anybody uses
it; it is written beside and renamed, and one process at a time exchanges it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer

from bot.errors import SettingsError

_LOOKS_S = 0.05


class TokenPair(BaseModel):
    """What X gave last."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    """None where X was not asked for one."""
    expires_at: AwareDatetime
    """When the access token ends; the refresh token lives longer."""
    account_id: str = ""
    """Whose they are, once X has said it."""

    @field_serializer("access_token", "refresh_token", when_used="json")
    def _in_the_file(self, token: SecretStr | None) -> str | None:
        return None if token is None else token.get_secret_value()

    def is_fresh(self, until: datetime) -> bool:
        return self.expires_at > until


@dataclass(frozen=True, slots=True)
class TokenFile:
    path: Path

    def read(self) -> TokenPair | None:
        """The pair; None where nobody logged in. Raises SettingsError for a file that is none of ours."""
        try:
            return TokenPair.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise SettingsError(
                f"{self.path} cannot be read.", "Delete it, and log in again: `mynah x login`."
            ) from None

    def write(self, pair: TokenPair) -> None:
        """Whole or not at all, also when the power is cut. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)  # with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pair.model_dump_json().encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def delete(self) -> None:
        """Log out here."""
        self.path.unlink(missing_ok=True)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """One process and one task at a time. The lock is the operating system's: it ends with its holder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(descriptor):  # noqa: ASYNC110 - another process cannot set an event of ours
                await asyncio.sleep(_LOOKS_S)
            yield
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
