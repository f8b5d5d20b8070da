"""The Discord of `bench.loop`, in a process of its own: many servers, whose members talk among themselves.

Now and then somebody runs a command; how long its acknowledgement takes is told by Discord's side, as a person sees it.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.servers.discord.people import Person
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.things import Channel, Interaction, Role

CHANNELS, ROLES = 30, 20
PATIENCE_S = 60.0
_WORDS = ("tea", "rain", "owls", "the", "a", "of", "and", "lantern", "harbour", "seventeen", "when", "umbrella", "soup")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bot finds this Discord."""

    api_url: str
    token: str


@dataclass(frozen=True, slots=True)
class Answers:
    """How long Discord waited for commands to be acknowledged, and how many were not in its three seconds."""

    waits_s: tuple[float, ...]
    missed: int


class Crowd:
    """What the bench has it do, from the bench's process: each method is one of `_People`."""

    def __init__(self, pipe: Connection, address: Address) -> None:
        self._pipe = pipe
        self.address = address

    def await_bot(self) -> None:
        """Until a bot is online."""
        self._ask("await_bot")

    def chat(self, messages_per_s: float) -> None:
        """From now on, somebody somewhere writes so often, and never to the bot."""
        self._ask("chat", messages_per_s)

    def say(self, handle: str, count: int, every_s: float) -> Answers:
        """Have a persona speak so many times, each time in another server."""
        answers = self._ask("say", handle, count, every_s)
        assert isinstance(answers, Answers)
        return answers

    def warm_up(self, handle: str) -> None:
        """Have a persona speak once, and wait until it has."""
        self._ask("warm_up", handle)

    def clone(self, file: Path) -> None:
        """Hand a file of posts over, for a clone of one's own."""
        self._ask("clone", file)

    def told(self) -> str:
        """What the message of that clone says now."""
        return str(self._ask("told"))

    def _ask(self, what: str, *arguments: Any) -> object:
        self._pipe.send((what, arguments))
        if not self._pipe.poll(600):
            raise AssertionError(f"The crowd does not answer: {what}.")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def crowd(guilds: int) -> Iterator[Crowd]:
    """A Discord of so many servers, as long as this lasts."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, guilds), daemon=True)
    process.start()
    theirs.close()
    try:
        address = ours.recv()
        yield Crowd(ours, address)
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(pipe: Connection, guilds: int) -> None:
    with LocalDiscord() as server:
        people = _People(server, guilds)
        pipe.send(Address(server.api_url, server.token))
        while True:
            what, arguments = pipe.recv()
            try:
                pipe.send(getattr(people, what)(*arguments))
            except AssertionError as error:
                pipe.send(error)


class _People:
    def __init__(self, server: LocalDiscord, guilds: int) -> None:
        self._server = server
        self._draw = random.Random(20261124)
        self._rooms: list[tuple[Person, list[Channel]]] = []
        for number in range(guilds):
            guild = server.guild(f"Server {number}")
            guild.roles += [Role(server.world.ids.next(), f"role {role}") for role in range(ROLES)]
            channels = [server.channel(guild, f"channel-{place}") for place in range(CHANNELS)]
            self._rooms.append((server.person(f"member{number}", guild), channels))
        self._messages_per_s = 0.0
        threading.Thread(target=self._talk, daemon=True).start()

    def await_bot(self) -> None:
        self._server.wait_for(lambda: self._server.gateway.connected, "a bot", PATIENCE_S)

    def chat(self, messages_per_s: float) -> None:
        self._messages_per_s = messages_per_s

    def say(self, handle: str, count: int, every_s: float) -> Answers:
        asked: list[Interaction] = []
        due = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, due - time.monotonic()))
            member, channels = self._rooms[number % len(self._rooms)]
            asked.append(member.runs(self._draw.choice(channels), "say", user=handle))
            due += every_s
        time.sleep(3.0)  # Discord waits no longer
        answered_at = {entry.path.split("/")[2]: entry.at_s for entry in self._server.asked("POST", "/callback")}
        waits = [answered_at[what.id] - what.created_s for what in asked if what.response is not None]
        return Answers(tuple(waits), len(asked) - len(waits))

    def warm_up(self, handle: str) -> None:
        member, channels = self._rooms[-1]
        member.is_answered(member.runs(channels[0], "say", user=handle), PATIENCE_S)

    def clone(self, file: Path) -> None:
        member, channels = self._rooms[0]
        self._told_in = channels[0]
        member.runs(channels[0], "clone", user="bench", file=(file.name, file.read_bytes()))

    def told(self) -> str:
        with self._server.world.changed:
            shown = [embed for said in self._told_in.messages.values() for embed in said.embeds]
            return str(shown[-1].get("description", "")) if shown else ""

    def _talk(self) -> None:
        while True:
            if not self._messages_per_s:
                time.sleep(0.1)
                continue
            time.sleep(self._draw.expovariate(self._messages_per_s))
            member, channels = self._draw.choice(self._rooms)
            member.types(self._draw.choice(channels), " ".join(self._draw.choices(_WORDS, k=12)))
