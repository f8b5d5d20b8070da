"""Answers to who mentions the account on X, where the owner wants that: `[x] replies`.

Only a post that names the account is answered, once a thread and person, through guard, approval and outbox like
every post; what was there before the first look is not. X takes such answers only where the account was summoned, and
asks for its approval of those that an AI writes (developer guidelines, 2026-08).
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from bot.guard.author import GuardedAuthor
from bot.notices import Notices
from bot.posting.lane import halt
from bot.posting.posting import Posting
from bot.posting.sender import NotSent
from bot.posting.x_account import TARGET, XAccount
from bot.posting.x_sender import XSender
from bot.schedules.runner import Written
from bot.settings import Settings
from bot.x.answers import WirePost
from storage import personas, replies, switches
from storage.database import Store
from storage.errors import MynahError
from storage.outbox import Decided
from storage.personas import Persona

log = logging.getLogger(__name__)

LOOK_EVERY_S = 180.0
"""An empty answer costs nothing at X."""
_NAMES = re.compile(r"(?<!\w)@\w+")


class Replies:
    """`account` is connected before this works."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        notices: Notices,
        posting: Posting,
        account: XAccount,
        author: GuardedAuthor,
    ) -> None:
        self._settings = settings
        self._store = store
        self._notices = notices
        self._posting = posting
        self._account = account
        self._author = author

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Look again and again, as long as this lasts."""
        looking = asyncio.create_task(self._keep_looking(), name="replies")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except MynahError as error:  # such as a database that is gone: whoever posts ends the bot for that
                log.error("Mentions were not answered: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Read who has mentioned the account since; how many answers were decided on."""
        sender = self._account.sender
        stopped = {switch.name for switch in await self._posting.stops()}
        if not self._settings.x.replies or sender is None or stopped & {switches.PAUSE, switches.halt(TARGET)}:
            return 0
        since_id = await self._store.run(replies.newest, TARGET)
        mentions = await sender.mentions(since_id)
        if isinstance(mentions, NotSent):
            log.warning("Mentions on X cannot be read: %s", mentions.reason)
            if mentions.halts:
                await halt(self._store, self._notices, TARGET, mentions, self._posting.now())
            return 0
        if since_id is None:
            newest = max((mention.id for mention in mentions), key=int, default="0")
            await self._pass_over(newest, None)
            return 0
        in_order = sorted(mentions, key=lambda mention: int(mention.id))
        decided = [await self._answer(mention, sender) for mention in in_order]
        if any(decided):
            self._posting.wake()
        return sum(decided)

    async def _answer(self, mention: WirePost, sender: XSender) -> bool:
        """Whether an answer to a mention was decided on."""
        reply = await self._written(mention) if mention.author_id not in (None, sender.account_id) else None
        return await self._pass_over(mention.id, reply) is not None

    async def _written(self, mention: WirePost) -> Decided | None:
        now, late = self._posting.now(), timedelta(hours=self._settings.posting.late_hours)
        is_old = mention.published_at is None or mention.published_at < now - late
        key = replies.key(mention.conversation_id or mention.id, mention.author_id or "")
        if is_old or mention.kind == "repost" or await self._store.run(replies.is_answered, key):
            return None
        persona_id = await self._store.run(replies.speaker, TARGET, mention.parent_id)
        if persona_id is None:  # nobody has posted here yet
            return None
        persona = await self._store.run(personas.get, persona_id)
        try:
            written = await self._author.write(persona, "", TARGET, now, heard(mention))
        except MynahError as error:
            log.warning("A mention stays without an answer: %s", error)
            return None
        return _decided(persona, mention.id, key, written, now) if isinstance(written, Written) else None

    async def _pass_over(self, mention_id: str, reply: Decided | None) -> str | None:
        return await self._store.run(replies.pass_over, TARGET, mention_id, reply, self._posting.now())


def heard(mention: WirePost) -> tuple[str, ...]:
    """What a persona hears of a mention: its words, without the names."""
    text = " ".join(_NAMES.sub("", html.unescape(mention.whole_text)).split())
    return (text,) if text else ()


def _decided(persona: Persona, mention_id: str, key: str, written: Written, now: datetime) -> Decided:
    return Decided(
        persona_id=persona.id,
        clone_id=written.clone_id,
        schedule_id=None,
        target=TARGET,
        text=written.text,
        due_at=now,
        key=key,
        state=written.state,
        expires_at=written.expires_at,
        reply_to=mention_id,
    )
