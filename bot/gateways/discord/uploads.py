"""A file that somebody attaches: fetched at once, since its address is signed for a day, and kept until it is read.

Each lies in a folder of its own, under the name that they know it by.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from pathlib import Path

import aiohttp
import discord

from bot.errors import CommandError

FETCH_WITHIN_S = 300.0
_CHUNK = 2**16
_MEGABYTE = 1_000_000
_LONGEST_NAME = 60


async def fetch(attachment: discord.Attachment, folder: Path, most_mb: int) -> Path:
    """Stream an attachment to a private file. Whoever clones from it has it deleted after the import (`Cloning`).

    Raises:
        CommandError: for one that is too large, or that Discord does not hand out; nothing is left of it then.
    """
    if attachment.size > most_mb * _MEGABYTE:
        raise _too_large(most_mb)
    file = folder / secrets.token_hex(8) / harmless(attachment.filename)
    await asyncio.to_thread(_make_private, file.parent)
    try:
        async with (
            asyncio.timeout(FETCH_WITHIN_S),
            aiohttp.ClientSession() as session,
            session.get(attachment.url) as answer,
        ):
            if answer.status != 200:
                raise _not_handed_out(f"it answered {answer.status}")
            await _stream(answer, file, most_mb)
    except BaseException as error:
        await asyncio.to_thread(discard, file)
        if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            raise _not_handed_out(type(error).__name__) from error
        raise
    return file


def discard(file: Path) -> None:
    """Away with what was fetched."""
    shutil.rmtree(file.parent, ignore_errors=True)


def harmless(name: str) -> str:
    """What people call their file, as a name that leads nowhere and fits everywhere; its end tells the format."""
    return re.sub(r"[^\w.() -]", "_", name)[-_LONGEST_NAME:].strip(" .") or "file"


async def _stream(answer: aiohttp.ClientResponse, file: Path, most_mb: int) -> None:
    written = 0
    with await asyncio.to_thread(file.open, "xb") as out:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            written += len(chunk)
            if written > most_mb * _MEGABYTE:
                raise _too_large(most_mb)
            await asyncio.to_thread(out.write, chunk)


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)


def _too_large(most_mb: int) -> CommandError:
    return CommandError(
        f"That file is larger than {most_mb} MB.",
        "Zip only the Messages folder of a Discord package, or data/tweets.js of an X archive; or have whoever runs "
        "this bot clone the whole file in its console, or by `mynah clone FILE` while it is stopped.",
    )


def _not_handed_out(reason: str) -> CommandError:
    return CommandError(f"Discord did not hand the file out ({reason}).", "Attach it once more.")
