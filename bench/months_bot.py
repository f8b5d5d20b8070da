"""The bot of `bench.months`: the runner and the poster as they are, in a process of its own, with an idle clock.

What a person would type comes over a pipe, what they would read goes back over it. Only the voice is invented: it
writes a text of its own for every run.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.months_clock import IdleClock, SharedTime
from bot.data_folder import DataFolder
from bot.notices import Notices
from bot.posting.lane import Rules
from bot.posting.outbox import Answer, Outbox
from bot.posting.posting import Posting
from bot.posting.x_sender import XSender
from bot.requests import RefreshRequest
from bot.schedules.plan import Patience
from bot.schedules.runner import Runner, Written
from bot.settings import Settings
from bot.settings.x import X
from bot.x.budget import Budget
from bot.x.client import UserKeys, XClient
from storage import outbox, schedules
from storage.database import Writer
from storage.personas import Persona

CLIENT_TIMEOUT_S = 0.5
POSTS_A_DAY = 28
SETTINGS = Settings(x=X(posts_per_day=POSTS_A_DAY, budget_day=0.8, budget_month=16))
"""The budgets are reached now and then."""
_WORDS = (
    "owl",
    "lantern",
    "tide",
    "café",
    "&",
    "<moss>",
    "“quiet”",
    "harbour",
    "🦉",
    "seventeen",
    "über",
    "50%",
    "it's",
)


@dataclass(frozen=True, slots=True)
class World:
    """What a bot has to know to begin."""

    data: Path
    clock: Path
    x_url: str
    keys: UserKeys
    end: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """What a person has it do: `pause`, `resume`, `answer` or `quit`."""

    what: str
    id: str = ""
    answer: Answer = "look"


@dataclass(frozen=True, slots=True)
class Word:
    """What a person reads: `begun`, `paused`, `resumed`, `asked`, `halted`, `ended`."""

    what: str
    id: str = ""
    text: str = ""


def _patience() -> Patience:
    return Patience(grace=timedelta(minutes=30), longest=timedelta(days=1))


async def _no_refresh(request: RefreshRequest) -> None:
    raise AssertionError("no schedule of the bench refreshes anything")


class Invented:
    """Writes a text that no other run has; every 25th has a link."""

    async def write(self, persona: Persona, prompt: str, target: str, due_at: datetime) -> Written:
        draw = random.Random(f"{persona.id} {prompt} {due_at}")
        link = f" https://example.org/a?b={due_at:%d}&c=<d>" if draw.random() < 0.04 else ""
        text = f"{prompt} of {persona.handle}, {due_at:%Y-%m-%dT%H:%M:%S}: {' '.join(draw.sample(_WORDS, 6))}{link}"
        return Written(text, None)


def live(world: World, pipe: Connection) -> None:
    """From start to end, or until it is killed."""
    logging.disable()  # what it would log, the owner hears over the pipe
    asyncio.run(_live(world, pipe))


async def _live(world: World, pipe: Connection) -> None:
    with DataFolder(world.data).held():
        store = Writer(DataFolder(world.data).database)
        await store.start()
        async with AsyncExitStack() as running:
            running.push_async_callback(store.close)
            ids = await store.run(schedules.active)
            clock = IdleClock(SharedTime(world.clock), 2, ids, world.end, lambda: pipe.send(Word("ended")))
            client = await running.enter_async_context(
                XClient(world.x_url, user=world.keys, timeout_s=CLIENT_TIMEOUT_S)
            )
            notices = Notices(store)
            rules = Rules(posts_a_day=SETTINGS.x.posts_per_day, longest_sleep_s=6 * 3600)
            posting = Posting(store, notices, lambda kind: rules, clock)
            posting.register("x", XSender(client, world.keys.user_id, Budget(SETTINGS, store, clock.now)))
            runner = Runner(store, Invented(), _no_refresh, posting.wake, _patience, clock, lambda: clock)
            await running.enter_async_context(posting.working())
            await running.enter_async_context(runner.working())
            person = Person(pipe, store, posting, notices, clock)
            await person.talk()


class Person:
    """Carries out orders, and tells what a person has to be told."""

    def __init__(self, pipe: Connection, store: Writer, posting: Posting, notices: Notices, clock: IdleClock) -> None:
        self._pipe = pipe
        self._store = store
        self._posting = posting
        self._notices = notices
        self._clock = clock
        self._outbox = Outbox(store, posting, ZoneInfo("UTC"))
        self._orders: asyncio.Queue[Order] = asyncio.Queue()

    async def talk(self) -> None:
        """Until told to quit."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        self._pipe.send(Word("begun"))
        for switch in await self._posting.stops():
            if switch.name.startswith("halt:"):
                self._pipe.send(Word("halted"))
        await self._tell_asked()
        self._clock.done("start")
        async with self._notices.listen() as told:
            order, notice = asyncio.create_task(self._orders.get()), asyncio.create_task(told.get())
            while True:
                await asyncio.wait([order, notice], return_when=asyncio.FIRST_COMPLETED)
                if notice.done():
                    if notice.result().kind == "halt":
                        self._pipe.send(Word("halted"))
                    elif notice.result().kind == "asked":
                        await self._tell_asked()
                    notice = asyncio.create_task(told.get())
                if order.done():
                    if order.result().what == "quit":
                        notice.cancel()
                        return
                    await self._obey(order.result())
                    order = asyncio.create_task(self._orders.get())

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                order = self._pipe.recv()
            except (EOFError, OSError):
                return
            loop.call_soon_threadsafe(self._orders.put_nowait, order)

    async def _obey(self, order: Order) -> None:
        match order.what:
            case "pause":
                await self._posting.pause("owner")
                self._pipe.send(Word("paused"))
            case "resume":
                await self._posting.resume()
                self._pipe.send(Word("resumed"))
            case "answer":
                post = await self._store.run(outbox.get, order.id)
                if post.state == "asked":
                    await self._outbox.answer(order.id, order.answer, "owner")
                self._clock.done(order.id)

    async def _tell_asked(self) -> None:
        """Ask; no time passes until the answer is there, which has to come through two processes."""
        for post in await self._store.run(outbox.listed, ("asked",)):
            self._clock.begin(post.id)
            self._pipe.send(Word("asked", post.id, post.text))
