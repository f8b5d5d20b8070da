"""One kind of target: its posts are sent one after another, and what may have been published is looked for.

claim ─► send ─► sent
             ├─► due again, later            surely not published, and worth another try
             ├─► failed                      surely not published, and never will be
             ├─► due, and the target halts   surely not published: a person has to see to the account
             └─► uncertain ─► looks over 15 minutes ─► sent, or a person is asked

Each arrow is a transaction, written before the next step. Nothing that may have been published is sent again by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.notices import Notices
from bot.posting.clock import Clock
from bot.posting.sender import Duplicate, Lookout, NotSent, Outcome, Seen, Sender, Sent, Unclear
from storage import outbox, sending, switches
from storage.database import Store
from storage.errors import Gone
from storage.outbox import OutboxPost

log = logging.getLogger(__name__)

LOOKS_AFTER_S = (10.0, 60.0, 180.0, 480.0, 900.0)
"""Seconds after a post became uncertain. X shows a new post after seconds, sometimes minutes."""
LOOKS_GIVEN_UP_AFTER = timedelta(hours=24)
_FIRST_RETRY_S = 15.0
_LONGEST_RETRY_S = 900.0
_LONGEST_PAUSE = timedelta(hours=24)
"""Less than what is taken for the work of a clock that jumped (`storage.sending`)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How posts leave."""

    late: timedelta = timedelta(hours=6)
    """What could not be sent for so long is skipped."""
    posts_a_day: int | None = None
    longest_sleep_s: float = 30.0
    """A clock that jumps is noticed after this."""


class Lane:
    """The posts of one kind of target, such as `x`."""

    def __init__(
        self, kind: str, sender: Sender, store: Store, notices: Notices, clock: Clock, rules: Callable[[], Rules]
    ) -> None:
        self._kind = kind
        self._sender = sender
        self._store = store
        self._notices = notices
        self._clock = clock
        self._rules = rules
        self._stopping = False
        self.wake = asyncio.Event()

    def stop(self) -> None:
        """After what is being sent now."""
        self._stopping = True
        self.wake.set()

    async def run(self) -> None:
        """Until it is stopped.

        Raises:
            MynahError: where the database can be written no longer.
        """
        while not self._stopping:
            self.wake.clear()
            if not await self.step() and not self._stopping:
                await self._clock.wait(self.wake, await self._idle_s())

    async def step(self) -> bool:
        """Do what is to be done first; whether there was anything."""
        now = self._clock.now()
        await self._store.run(sending.skip_late, self._rules().late, now)
        looked = await self._store.run(sending.due_look, self._kind, now)
        post = looked or await self._store.run(sending.next_due, self._kind, now)
        if post is None:
            return False
        try:
            await (self._send(post) if looked is None else self._look(post))
        except Gone:  # its persona was forgotten while X or Discord was asked
            log.info("The post %s was deleted while it was on its way.", post.id)
        return True

    async def _idle_s(self) -> float:
        longest, now = self._rules().longest_sleep_s, self._clock.now()
        moment = await self._store.run(sending.next_moment, self._kind, now)
        return longest if moment is None else min(longest, max(0.001, (moment - now).total_seconds()))

    async def _send(self, post: OutboxPost) -> None:
        if not await self._knows_timeline(post):
            return
        now, limit = self._clock.now(), self._rules().posts_a_day
        claimed = await self._store.run(sending.claim, post.id, now, limit)
        if claimed is None:
            return
        match await self._try(claimed):
            case Sent(platform_id):
                await self._store.run(sending.sent, post.id, platform_id, self._clock.now(), "published")
            case NotSent() as refused:
                await self._not_sent(claimed, refused)
            case Unclear(reason):
                await self._unclear(claimed, reason)
            case Duplicate(reason):
                await self._unclear(claimed, reason, is_duplicate=True)

    async def _try(self, post: OutboxPost) -> Outcome:
        try:
            return await self._sender.send(post)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the post may have been published
            log.error("Sending the post %s met %s.", post.id, type(error).__name__)
            return Unclear(f"Mynah met an error that it does not know ({type(error).__name__}).")

    async def _knows_timeline(self, post: OutboxPost) -> bool:
        """Whether it is known what to look behind, should the post become uncertain; asked for once an account."""
        known = await self._store.run(sending.newest_known, post.target)
        if known is not None or not isinstance(self._sender, Lookout):
            return True
        newest, now = await self._sender.newest(post.target), self._clock.now()
        if isinstance(newest, str):
            await self._store.run(sending.know_newest, post.target, newest, now)
            return True
        if newest.halts:
            await self._halt(post.target, newest)
        await self._store.run(sending.postpone, post.id, now + self._pause(newest, 1), newest.reason)
        return False

    async def _not_sent(self, post: OutboxPost, refused: NotSent) -> None:
        now = self._clock.now()
        if refused.is_final:
            await self._store.run(outbox.move, post.id, "failed", refused.reason, now)
            await self._notices.tell(
                "failed", f"A post was refused for good: {refused.reason}", f"/outbox show {post.id}", now
            )
            return
        if refused.halts:
            await self._halt(post.target, refused)
        retry_at = now + self._pause(refused, post.attempts)
        await self._store.run(sending.not_sent, post.id, retry_at, refused.reason, now)

    async def _unclear(self, post: OutboxPost, reason: str, *, is_duplicate: bool = False) -> None:
        now = self._clock.now()
        look_at = now + timedelta(seconds=LOOKS_AFTER_S[0])
        uncertain = await self._store.run(sending.unclear, post.id, reason, look_at, now, is_duplicate=is_duplicate)
        if not isinstance(self._sender, Lookout):
            await self._conclude(uncertain)

    async def _look(self, post: OutboxPost) -> None:
        """One look on the account's timeline for a post that may be there."""
        if not isinstance(self._sender, Lookout):
            await self._conclude(post)
            return
        seen = await self._find(self._sender, post)
        now = self._clock.now()
        if isinstance(seen, NotSent):
            await self._could_not_look(post, seen)
            return
        if seen.newest_id is not None:
            await self._store.run(sending.know_newest, post.target, seen.newest_id, now)
        if seen.platform_id is not None:
            await self._store.run(sending.sent, post.id, seen.platform_id, now, "found on the account's timeline")
        elif post.looks + 1 >= len(LOOKS_AFTER_S):
            await self._conclude(post)
        else:
            pause_s = LOOKS_AFTER_S[post.looks + 1] - LOOKS_AFTER_S[post.looks]
            await self._store.run(sending.look_again, post.id, now + timedelta(seconds=pause_s), counted=True)

    async def _find(self, lookout: Lookout, post: OutboxPost) -> Seen | NotSent:
        taken = await self._store.run(sending.taken, post.target)
        try:
            return await lookout.find(post, taken)
        except Exception as error:  # noqa: BLE001 - a look that fails says nothing about the post
            log.error("Looking for the post %s met %s.", post.id, type(error).__name__)
            return NotSent(f"Mynah met an error that it does not know ({type(error).__name__}).")

    async def _could_not_look(self, post: OutboxPost, why: NotSent) -> None:
        now = self._clock.now()
        if why.halts:
            await self._halt(post.target, why)
        if now - post.state_since > LOOKS_GIVEN_UP_AFTER:
            await self._conclude(post)
        else:
            # Never further away than the longest pause between two looks, whatever a platform says.
            pause = min(self._pause(why, 3), timedelta(seconds=_LONGEST_RETRY_S))
            await self._store.run(sending.look_again, post.id, now + pause, counted=False)

    async def _conclude(self, post: OutboxPost) -> None:
        """It is not to be found. Only a platform that has the text already says what that means."""
        now = self._clock.now()
        if post.is_duplicate and post.maybe_sent:
            await self._store.run(
                sending.sent, post.id, None, now, "The platform has this text already: an earlier attempt published it."
            )
        elif post.is_duplicate:
            reason = "The account has published the same text before, by other means."
            await self._store.run(outbox.move, post.id, "failed", reason, now)
        else:
            reason = "It may have been published, and was not found on the account's timeline."
            await self._store.run(outbox.move, post.id, "asked", reason, now)
            await self._notices.tell(
                "asked",
                f"Nobody knows whether the post {post.id} was published.",
                "Look at the account, then: /outbox sent, resend or drop, and the post's id.",
                now,
            )

    async def _halt(self, target: str, why: NotSent) -> None:
        await halt(self._store, self._notices, target, why, self._clock.now())

    def _pause(self, refused: NotSent, attempts: int) -> timedelta:
        """How long to wait before another try."""
        if refused.until is not None and refused.until > self._clock.now():
            return min(refused.until - self._clock.now(), _LONGEST_PAUSE)
        return timedelta(seconds=min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2 ** min(attempts - 1, 10)))


async def halt(store: Store, notices: Notices, target: str, why: NotSent, now: datetime) -> None:
    """Nothing is sent there until a person says so; they are told once."""
    if await store.run(switches.set, switches.halt(target), why.reason, "posting", now):
        resume = f"{why.hint} Then: /admin resume".strip()
        await notices.tell("halt", f"Posting to {target} is stopped. {why.reason}", resume, now)
