"""Try a bot without Discord: a local guild with one channel, on a terminal.

python -m tests.servers.discord [PORT]
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.servers.discord.limits import walk_components
from tests.servers.discord.people import Person
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.things import Channel, Interaction, Message
from tests.servers.discord.typed_commands import (
    ATTACHMENT,
    BOOLEAN,
    INTEGER,
    NUMBER,
    USER,
    Typed,
    options_of,
)

HELP = """\
  hello                     say it in the channel; @Mynah mentions the bot
  /say user:ann             run a command; files are given by their path
  click Say more            press a button of the latest message that has it
  fill name=Ann             send the form that is open
  reply squawk              reply to the bot's latest message
  upload FILE               post a file
  as bea                    be somebody else; "as operator" manages the server
  dm, channel               talk to the bot alone, or in the channel again
  skip 900                  push Discord's clock ahead by so many seconds
  cut                       end the bot's connection
  quit
"""


class Terminal:
    def __init__(self, server: LocalDiscord) -> None:
        self.server = server
        self.guild = server.guild("Parrots")
        self.everyone = server.channel(self.guild, "general")
        self.people = {"operator": server.owner}
        self.me = self._person("ann")
        self.place: Channel = self.everyone
        self._last: Interaction | None = None
        self._shown: dict[str, str] = {}
        self._verbs: dict[str, Callable[[str], None]] = {
            "click": self._click,
            "fill": self._fill,
            "reply": self._reply,
            "upload": self._upload,
            "as": self._become,
            "dm": self._go_to_dm,
            "channel": self._go_to_channel,
            "skip": lambda seconds: server.clock.advance(number(float, seconds, "skip")),
            "cut": lambda _: server.gateway.cut(),
            "help": lambda _: say(HELP),
        }

    def obey(self, line: str) -> None:
        """One line. Raises: LookupError or ValueError where it cannot be done."""
        word, _, rest = line.partition(" ")
        if line.startswith("/"):
            self._last = self._run(line[1:])
        elif word in self._verbs:
            self._verbs[word](rest)
        elif line:
            self.me.types(self.place, line)

    def _click(self, button: str) -> None:
        self._last = self.me.clicks(self._latest(button), button)

    def _fill(self, answers: str) -> None:
        if self._last is None:
            raise LookupError("no form is open")
        given = dict(part.partition("=")[::2] for part in shlex.split(answers))
        self.me.submits(self._last, **given)

    def _reply(self, text: str) -> None:
        self.me.types(self.place, text, reply_to=self._latest(None))

    def _upload(self, path: str) -> None:
        self.me.types(self.place, "", files=dict([file(path)]))

    def _become(self, name: str) -> None:
        self.me = self._person(name)

    def _go_to_dm(self, _: str) -> None:
        self.place = self.me.dm()

    def _go_to_channel(self, _: str) -> None:
        self.place = self.everyone

    def show(self) -> None:
        """What is new or changed in sight, once."""
        for said in self.me.sees(self.place):
            text = self._described(said)
            if self._shown.get(said.id) != text:
                again = " (edited)" if said.id in self._shown and not said.loading else ""
                self._shown[said.id] = text
                say(f"{said.author.name}{again}: {text}\n")
        if self._last and self._last.modal and self._last.id not in self._shown:
            inputs = [
                part["custom_id"] for part in walk_components(self._last.modal["components"]) if "custom_id" in part
            ]
            self._shown[self._last.id] = "form"
            say(f"A form is open: {self._last.modal['title']}, to fill {', '.join(inputs)}\n")

    def watch(self) -> None:
        """Show as things change, for ever."""
        while True:
            with self.server.world.changed:
                self.server.world.changed.wait(1.0)
                self.show()

    def _person(self, name: str) -> Person:
        if name not in self.people:
            self.people[name] = self.server.person(name, self.guild)
        return self.people[name]

    def _run(self, line: str) -> Interaction:
        words = shlex.split(line)
        command = " ".join(word for word in words if ":" not in word)
        takes = options_of(self.server.world, self.place, command)
        given: dict[str, Typed | Person] = {}
        for name, value in (word.split(":", 1) for word in words if ":" in word):
            given[name] = self._typed(takes.get(name, {}).get("type", 0), name, value)
        return self.me.runs(self.place, command, **given)

    def _typed(self, kind: int, name: str, value: str) -> Typed | Person:
        if kind == ATTACHMENT:
            return file(value)
        if kind == USER:
            return self._person(value.lstrip("@"))
        if kind == BOOLEAN:
            return value.lower() in ("true", "yes", "1")
        if kind in (INTEGER, NUMBER):
            return number(int if kind == INTEGER else float, value, name)
        return value

    def _latest(self, button: str | None) -> Message:
        for said in reversed(self.me.sees(self.place)):
            if said.author.bot and (button is None or f"[{button}]" in self._described(said)):
                return said
        raise LookupError(f"nothing in sight has [{button}]" if button else "the bot has said nothing yet")

    def _described(self, said: Message) -> str:
        if said.loading:
            return "is thinking…"
        parts = [said.content]
        for embed in said.embeds:
            fields = [f"{item['name']}: {item['value']}" for item in embed.get("fields") or []]
            parts += [embed.get("title") or "", embed.get("description") or "", *fields]
        parts += [f"<{file.filename}, {len(file.content):,} bytes>" for file in said.attachments]
        rows = [row.get("components", []) for row in said.components]
        parts.append(" ".join(f"[{part['label']}]" for row in rows for part in row if part.get("label")))
        return "\n  ".join(part for part in parts if part)


Number = TypeVar("Number", int, float)


def number(kind: type[Number], typed: str, name: str) -> Number:
    """What somebody typed as a number. Raises: LookupError where it is none."""
    try:
        return kind(typed)
    except ValueError:
        raise LookupError(f"{name} takes a {'whole ' * (kind is int)}number, not {typed!r}") from None


def file(path: str) -> tuple[str, bytes]:
    """Its name and what is in it. Raises: LookupError where it cannot be read."""
    try:
        return Path(path).name, Path(path).read_bytes()
    except FileNotFoundError:
        raise LookupError(f"there is no file {path}") from None
    except OSError as error:
        raise LookupError(f"{path} cannot be read ({error.strerror})") from None


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    with LocalDiscord(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        terminal = Terminal(server)
        say(f"A local Discord at {server.url}, its bot's token is {server.token}\n{HELP}")
        threading.Thread(target=terminal.watch, daemon=True).start()
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            try:
                terminal.obey(line.strip())
            except (LookupError, ValueError) as no:
                say(f"That cannot be done: {no}\n")


if __name__ == "__main__":
    main()
