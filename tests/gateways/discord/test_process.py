"""`mynah run` with a token, as its owner starts it: a process of its own on the local Discord."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from storage import clones, personas
from tests.invented import invented_posts, write_csv
from tests.running import ROOT, Home, until
from tests.servers.discord.people import Person
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.things import Channel


@contextmanager
def started(home: Home, server: LocalDiscord, token: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """The bot, on Discord, with nobody at its console; ended in any case."""
    settings = {"MYNAH_DISCORD__BASE_URL": server.api_url, "DISCORD_TOKEN": token or server.token}
    environ = replace(home, settings=home.settings | settings).environ()
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "run"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def server() -> Iterator[LocalDiscord]:
    with LocalDiscord() as local:
        yield local
        assert local.wrong_replies == []
        assert [asked.path for asked in local.invalid_requests if asked.status != 401] == []


def states(home: Home) -> list[str]:
    """Those of Ann's clone, from the first."""
    with home.database() as db:
        ann = personas.find(db, "ann")
        assert ann is not None
        (clone,) = clones.of_persona(db, ann.id)
        return [move.to_state for move in clones.history(db, clone.id)]


def someone(server: LocalDiscord) -> tuple[Person, Channel]:
    guild = server.guild("Parrots")
    return server.person("ann", guild), server.channel(guild, "general")


def test_it_answers_on_discord_until_it_is_told_to_stop(ada: Home, server: LocalDiscord) -> None:
    ann, channel = someone(server)
    with started(ada, server) as bot:
        server.wait_for(lambda: server.gateway.connected, "the bot to be online", 60)
        listed = ann.is_answered(ann.runs(channel, "models"), 30)
        assert "ada" in listed.content
        bot.send_signal(signal.SIGTERM)
        words, complaints = bot.communicate(timeout=30)
        assert (bot.returncode, words) == (0, ""), complaints
        assert server.token not in complaints


def test_a_refused_token_ends_it_with_a_sentence(ada: Home, server: LocalDiscord) -> None:
    with started(ada, server, token="mistyped") as bot:
        words, complaints = bot.communicate(timeout=60)
        assert (bot.returncode, words) == (1, "")
        assert "Discord refused the token. Copy it anew" in complaints
        assert "Traceback" not in complaints and "mistyped" not in complaints


def test_an_attached_file_becomes_a_voice_through_a_kill_and_is_not_kept(
    home: Home, server: LocalDiscord, tmp_path: Path
) -> None:
    ann, channel = someone(server)
    file = write_csv(tmp_path / "posts.csv", "ann", invented_posts(90))
    with started(home, server) as bot:
        server.wait_for(lambda: server.gateway.connected, "the bot to be online", 60)
        ann.is_answered(ann.runs(channel, "clone", user="ann", file=("posts.csv", file.read_bytes())), 30)
        until(lambda: True if "training" in states(home) else None)
        bot.kill()
        bot.wait()
        assert "ready" not in states(home)
    (message,) = (said for said in ann.sees(channel) if said.embeds)
    server.gateway.invalidate()  # the session of a bot that is gone
    with started(home, server):
        server.wait_for(
            lambda: any("Say more" in str(said.components) for said in ann.sees(channel)),
            "the buttons of a ready clone",
            100,
        )
        assert [said for said in ann.sees(channel) if said.embeds] == [message]
        assert states(home)[-4:] == ["queued", "collecting", "training", "ready"]
        assert list((home.data / "uploads").iterdir()) == []
        assert ann.is_answered(ann.runs(channel, "say", user="ann"), 60).content == "@ann has spoken."
        assert len([said for said in ann.sees(channel) if said.seen_by is None]) == 2
