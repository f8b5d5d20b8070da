"""The local Discord on a terminal, for people who try a bot without Discord."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.servers.parrot import running

ROOT = Path(__file__).resolve().parents[2]


class Elsewhere:
    """The address of a local Discord in another process."""

    def __init__(self, line: str) -> None:
        found = re.search(r"at (\S+), its bot's token is (\S+)", line)
        assert found
        self.token = found[2]
        self.api_url = found[1] + "/api/v10"
        self.gateway_url = found[1].replace("http", "ws", 1) + "/"


async def test_a_person_talks_to_a_bot_on_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "posts.zip"
    file.write_bytes(b"x" * 10)
    terminal = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.servers.discord", cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=-1
    )
    assert terminal.stdin and terminal.stdout

    async def read_until(part: str) -> str:
        assert terminal.stdout
        seen = ""
        while part not in seen:
            line = (await asyncio.wait_for(terminal.stdout.readline(), 30)).decode()
            assert line, f"ended without {part!r} after {seen!r}"
            seen += line
        return seen

    where = Elsewhere(await read_until("its bot's token"))
    async with running(where) as bot:
        await bot.tree.sync()
        for typed, shown in (
            ("/repeat text:'hello you'", "Mynah: hello you"),
            ("click Change", "Mynah (edited): changed"),
            (f"/weigh file:{file}", "Mynah: posts.zip: 10 bytes"),
            ("/weigh file:/nowhere", "That cannot be done: there is no file /nowhere"),
            (f"upload {tmp_path}", "cannot be read (Is a directory)"),
            ("skip abc", "That cannot be done: skip takes a number, not 'abc'"),
            ("click Delete", "nothing in sight has [Delete]"),
            ("/ask", "A form is open: Questions, to fill name"),
            ("fill name=Ann", "Mynah: Hello Ann"),
            ("good morning", "ann: good morning"),
        ):
            terminal.stdin.write(typed.encode() + b"\n")
            await read_until(shown)
    terminal.stdin.write(b"quit\n")
    assert await asyncio.wait_for(terminal.wait(), 10) == 0
