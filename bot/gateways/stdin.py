"""Standard input as people type it, read in threads that keep nothing alive: Ctrl-C does not wait for a line."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress


async def typed_line() -> str:
    """One line from a terminal, empty at its end."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[bytes] = loop.create_future()

    def answer(line: bytes) -> None:
        if not typed.done():
            typed.set_result(line)

    def read() -> None:
        with suppress(RuntimeError), open(0, "rb", buffering=0, closefd=False) as stdin:
            line = stdin.readline()
            loop.call_soon_threadsafe(answer, line)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return (await typed).decode("utf-8", "replace")


async def lines_of_stdin() -> AsyncIterator[str]:
    """Lines as they come, from a pipe or a file."""
    if sys.stdin is None:  # then descriptor 0 may be anything that was opened since
        return
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        # Not sys.stdin: its lock, held while this waits, would abort the interpreter when it ends.
        with suppress(RuntimeError), open(0, "rb", closefd=False) as stdin:  # the loop may be closed by then
            for line in stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, b"")

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while line := await lines.get():
        yield line.decode("utf-8", "surrogateescape")
