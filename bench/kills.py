"""`make bench-kills`: kill -9 the bot, the trainer and the voice at random moments; nothing that was accepted is lost.

The base is tiny, so that a clone takes seconds and a run dozens of kills; every process, file and signal is real. A
moment is drawn from the time that the same work took unharmed, so kills fall into starting, reading, training and
saving alike.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

import psutil
from safetensors import SafetensorError, safe_open

from bench.report import QUICK, Figure, Report, at_most
from bot.data_folder import DataFolder
from storage import clones, personas, posts
from storage.clones import Clone
from storage.database import check
from tests.invented import invented_posts, write_csv
from tests.running import Home, Mynah
from tests.tiny import tiny_llama_gguf

SEED = 20261124
KILLS = 2 if QUICK else 20
POSTS = 90 if QUICK else 400
CLONE_WITHIN_S = 180.0
ENDS_WITHIN_S = 20.0
AT_ONCE = 20
"""Posts asked for while the voice is killed."""


@dataclass
class Outcome:
    """What the kills did; all but `kills` and `resumed` should stay zero."""

    kills: int = 0
    resumed: int = 0
    """Trainings that went on from a checkpoint."""
    lost: int = 0
    begun_anew: int = 0
    half_imported: int = 0
    damaged: int = 0
    mute: int = 0
    left_behind: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that the work takes when nobody is killed."""

    clone_s: float
    trainer_s: float
    say_s: float


@dataclass
class Torment:
    """One data folder, and what is done to it."""

    home: Home
    post_count: int
    draw: random.Random
    outcome: Outcome = field(default_factory=Outcome)
    handles: list[str] = field(default_factory=list)

    def ask_for_clone(self, mynah: Mynah) -> str:
        """Hand a new person's posts to the console; the handle."""
        handle = f"person{len(self.handles)}"
        file = self.home.data.with_name(f"{handle}.csv")
        write_csv(file, handle, invented_posts(self.post_count, seed=len(self.handles)))
        self.handles.append(handle)
        mynah.type(f"/clone @{handle} file={file}\n")
        return handle

    def unharmed(self, mynah: Mynah) -> Pace:
        """Make one clone in peace, and let it speak."""
        asked = time.monotonic()
        handle = self.ask_for_clone(mynah)
        mynah.trainer()
        launched = time.monotonic()
        mynah.wait_for(f"@{handle} is ready", CLONE_WITHIN_S)
        ready = time.monotonic()
        self.speak(mynah, handle)
        mynah.type(f"/say @{handle} count={AT_ONCE}\n")
        asked_again = time.monotonic()
        mynah.wait_for("a bot imitating them")
        return Pace(ready - asked, ready - launched, time.monotonic() - asked_again)

    def kill_bot(self, mynah: Mynah, pace: Pace) -> Mynah:
        """Kill the bot while it speaks and clones; the next bot, once it has done what the first was asked."""
        mynah.type(f"/say @{self.handles[0]} count={AT_ONCE}\n")
        handle = self.ask_for_clone(mynah)
        time.sleep(self.draw.uniform(0, pace.say_s + pace.clone_s))
        mynah.kill()
        self.outcome.kills += 1
        self.outcome.left_behind += len(mynah.left_behind(ENDS_WITHIN_S))
        accepted = self.inspect()
        if handle not in accepted:
            self.handles.remove(handle)
        return self.recover(accepted)

    def recover(self, accepted: dict[str, Clone]) -> Mynah:
        """Start again, without asking for anything anew, and wait for every clone."""
        jobs = DataFolder(self.home.data).jobs
        waiting = {handle: clone for handle, clone in accepted.items() if clone.state != "ready"}
        steps = {handle: checkpoint_step(jobs / clone.id) for handle, clone in waiting.items()}
        mynah = Mynah.on_pipes(self.home)
        for handle in waiting:
            mynah.type("/train watch\n")
            self.await_ready(mynah, handle, steps[handle], since=0)
        for handle in {*waiting, self.handles[0]}:
            self.speak(mynah, handle)
        return mynah

    def kill_trainer(self, mynah: Mynah, pace: Pace) -> None:
        """Kill the trainer under a running bot, which takes the training up again."""
        since = len(mynah.output)
        handle = self.ask_for_clone(mynah)
        trainer = mynah.trainer()
        time.sleep(self.draw.uniform(0, pace.trainer_s))
        accepted = self.inspect()
        with suppress(psutil.NoSuchProcess):  # it may be done a moment ago; that is a moment too
            trainer.kill()
            trainer.wait(ENDS_WITHIN_S)
        self.outcome.kills += 1
        step = checkpoint_step(DataFolder(self.home.data).jobs / accepted[handle].id)
        self.await_ready(mynah, handle, step, since)
        self.speak(mynah, handle)

    def kill_voice(self, mynah: Mynah, pace: Pace) -> None:
        """Kill the voice while it answers; the answer comes all the same."""
        handle = self.draw.choice(self.handles)
        voice = mynah.voice()
        mynah.type(f"/say @{handle} count={AT_ONCE}\n")
        time.sleep(self.draw.uniform(0, pace.say_s))
        voice.kill()
        self.outcome.kills += 1
        if not said(mynah, rf"@{handle} \(a bot imitating them\)", 60):
            self.outcome.mute += 1
        self.speak(mynah, handle)

    def speak(self, mynah: Mynah, handle: str) -> None:
        mynah.type(f'/say @{handle} prompt="My dream is"\n')
        if not said(mynah, rf"@{handle} \(a bot imitating them\):\nMy dream is", 60):
            self.outcome.mute += 1

    def await_ready(self, mynah: Mynah, handle: str, step: int, since: int) -> None:
        """Wait until a clone is ready, and see that it went on from `step`, where there was a checkpoint of one.

        What the console said up to character `since` was of other clones.
        """
        if not said(mynah, f"@{handle} is ready", CLONE_WITHIN_S):
            self.outcome.lost += 1
        if step and f"from step {step}." in mynah.output[since:]:
            self.outcome.resumed += 1
        elif step:
            self.outcome.begun_anew += 1

    def inspect(self) -> dict[str, Clone]:
        """Look through the database as it lies there; the clones that are in it, by handle."""
        found: dict[str, Clone] = {}
        with self.home.database() as db:
            self.outcome.damaged += bool(check(db))
            for persona in personas.all(db):
                if persona.bundled:
                    continue
                found[persona.handle] = clones.of_persona(db, persona.id)[0]
                self.outcome.half_imported += posts.count(db, persona.id) not in (0, self.post_count)
        missing = {*self.handles[:-1]} - found.keys()
        unfinished = [clone for clone in found.values() if clone.state in ("failed", "cancelled")]
        self.outcome.lost += len(missing) + len(unfinished)
        return found


def torment(folder: Path, kills: int, post_count: int, seed: int, *, is_warm: bool = False) -> Outcome:
    """Kill each of the three so many times, in one data folder; warm trainers have imported already."""
    home = Home(folder / "data", tiny_llama_gguf(folder / "tiny.gguf"), is_warm=is_warm)
    torment = Torment(home, post_count, random.Random(seed))
    with ExitStack() as bots:
        mynah = bots.enter_context(Mynah.on_pipes(home))
        pace = torment.unharmed(mynah)
        for _ in range(kills):
            torment.kill_trainer(mynah, pace)
        for _ in range(kills):
            torment.kill_voice(mynah, pace)
        for _ in range(kills):
            mynah = bots.enter_context(torment.kill_bot(mynah, pace))
        mynah.type("/quit\n")
        mynah.ended()
        torment.outcome.left_behind += len(mynah.left_behind(0))
        torment.inspect()
    return torment.outcome


def checkpoint_step(job: Path) -> int:
    """The step of a job's checkpoint; 0 where there is none, or where the training was over and only has to be said."""
    if (job / "said.json").is_file():
        return 0
    try:
        with safe_open(job / "checkpoint.safetensors", "np") as file:
            return int(json.loads(file.metadata()["progress"])["step"])
    except (FileNotFoundError, SafetensorError):
        return 0


def said(mynah: Mynah, pattern: str, timeout_s: float) -> bool:
    try:
        mynah.wait_for(pattern, timeout_s)
    except AssertionError:
        return False
    return True


def figures(outcome: Outcome, kills: int) -> Sequence[Figure]:
    """The claims."""
    wanted = 3 * kills
    return [
        Figure("kill -9 survived", outcome.kills, "kills", f">= {wanted}", outcome.kills >= wanted),
        at_most("accepted clones lost", outcome.lost, "clones", 0),
        at_most("trainings begun anew in spite of a checkpoint", outcome.begun_anew, "trainings", 0),
        at_most("imports left half done", outcome.half_imported, "imports", 0),
        at_most("databases that fail their integrity check", outcome.damaged, "databases", 0),
        at_most("requests to speak left unanswered", outcome.mute, "requests", 0),
        at_most("processes left behind", outcome.left_behind, "processes", 0),
    ]


def main() -> int:
    """Measure, and say the figures."""
    report = Report("kills", {"kills of each": KILLS, "posts a clone": POSTS, "base": "tiny Llama", "seed": SEED})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = torment(Path(folder), KILLS, POSTS, SEED)
    report.say(", ".join(f"{each.name} {getattr(outcome, each.name)}" for each in fields(outcome)))
    report.measured("the whole run", "s", [time.monotonic() - began])
    return report.conclude(figures(outcome, KILLS))


if __name__ == "__main__":
    sys.exit(main())
