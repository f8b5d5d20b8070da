"""Posts to an X account, looks on its timeline for what may be there, and reads who mentions it.

Only a connection that failed and a complete 4xx prove that nothing was published. A 403 says which of three things it
is: the same text again, this post never, or this account not now.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from aiohttp import ClientResponse

from bot.guard.links import find_links
from bot.posting import published
from bot.posting.money import Budget
from bot.posting.published import OwnPost, OwnTimeline
from bot.posting.sender import Duplicate, NotSent, Outcome, Seen, Sent, Unclear
from bot.x import errors
from bot.x.answers import TimelineAnswer, WirePost, read_answer
from bot.x.client import XClient
from storage.errors import MynahError
from storage.outbox import OutboxPost
from storage.x_ledger import Kind

_PAGE = 5
_MOST_PAGES = 20
_MOST_MENTIONS = 20
_OF_MENTIONS = ["author_id", "conversation_id", "created_at", "note_tweet", "referenced_tweets"]
_FOR_THIS_POST_ONLY = ("not-authorized-for-resource", "invalid-request")
_FOR_THE_ACCOUNT = (401, 403, 404)
_LATER = (408, 425)

Page = TypeVar("Page", OwnTimeline, TimelineAnswer)


@dataclass(slots=True)
class XSender:
    """One account, by its id; `client` is open, and signs or shows the account's own token (`user_auth`)."""

    client: XClient
    account_id: str
    budget: Budget
    user_auth: bool = True

    async def send(self, post: OutboxPost) -> Outcome:
        """Create the post, once."""
        kind: Kind = "post_with_link" if has_link(post.text) else "post"
        try:
            reservation = await self.budget.reserve(kind, 1)
        except MynahError as error:
            return NotSent(error.message, error.hint)
        try:
            summoned = {"in_reply_to_tweet_id": post.reply_to} if post.reply_to else {}
            answer = await self.client.create_tweet(text=post.text, user_auth=self.user_auth, **summoned)
        except errors.Unclear as error:
            await reservation.settle()
            return Unclear(error.message)
        except errors.XError as error:
            await reservation.release()
            return Duplicate(error.message) if isinstance(error, errors.Duplicate) else _not_sent(error)
        await reservation.settle()
        return await _created(answer)

    async def newest(self, target: str) -> str | NotSent:
        """The newest post on the account's timeline, `0` where it is empty."""
        try:
            page = await self._page(None, None)
        except MynahError as error:
            return _not_sent(error)
        return published.newest(page.data) or "0"

    async def find(self, post: OutboxPost, taken: frozenset[str]) -> Seen | NotSent:
        """Look through what is newer than the newest that was known when the post was sent first."""
        seen: list[OwnPost] = []
        token: str | None = None
        try:
            for _ in range(_MOST_PAGES):
                page = await self._page(post.since_id, token)
                seen += page.data
                token = page.meta.next_token
                found = published.find(post.text, seen, taken, post.reply_to)
                if found is not None or token is None:
                    return Seen(None if found is None else found.id, published.newest(seen))
        except MynahError as error:
            return _not_sent(error)
        return NotSent("There are too many newer posts on the timeline to look through.")

    async def mentions(self, since_id: str | None) -> tuple[WirePost, ...] | NotSent:
        """The newest posts that name the account, of those newer than an id; newest first."""
        try:
            page = await self._read(
                TimelineAnswer, self.client.get_users_mentions, _MOST_MENTIONS if since_id else _PAGE, since_id, None
            )
        except MynahError as error:
            return _not_sent(error)
        return page.data

    async def _page(self, since_id: str | None, token: str | None) -> OwnTimeline:
        page = await self._read(OwnTimeline, self.client.get_users_tweets, _PAGE, since_id, token)
        if not page.data and page.errors:
            raise errors.Refused(403, page.errors[0], "X does not show the account's own timeline.", "Sign in at X.")
        return page

    async def _read(
        self,
        model: type[Page],
        ask: Callable[..., Awaitable[ClientResponse]],
        size: int,
        since_id: str | None,
        token: str | None,
    ) -> Page:
        """A page of posts, paid for."""
        since = {"since_id": since_id} if since_id and since_id != "0" else {}
        more = {"pagination_token": token} if token else {}
        fields = published.FIELDS if model is OwnTimeline else _OF_MENTIONS
        reservation = await self.budget.reserve("read", size)
        try:
            answer = await ask(
                self.account_id, max_results=size, tweet_fields=fields, user_auth=self.user_auth, **since, **more
            )
            page = await read_answer(model, answer)
        except (errors.Unclear, errors.Unreadable):
            await reservation.settle()
            raise
        except errors.XError:
            await reservation.release()
            raise
        await reservation.settle(len(page.data))
        return page


def has_link(text: str) -> bool:
    """Whether X may find an address in a text, which makes it dearer: rather too often than too seldom."""
    return "://" in text or bool(find_links(text))


def _not_sent(error: MynahError) -> NotSent:
    """A refusal, by what it is about."""
    match error:
        case errors.RateLimited():
            until = None if error.until is None else error.until + timedelta(seconds=1)
            return NotSent(error.message, error.hint, until=until)
        case errors.OutOfCredits():
            return NotSent(error.message, error.hint, halts=True)
        case errors.Refused() if error.problem.reason in _FOR_THIS_POST_ONLY or error.problem.says("too long"):
            return NotSent(error.message, error.hint, is_final=True)
        case errors.Refused() if error.status in _FOR_THE_ACCOUNT:
            return NotSent(error.message, error.hint, halts=True)
        case errors.Refused() if error.status not in _LATER:
            return NotSent(error.message, error.hint, is_final=True)
    return NotSent(error.message, error.hint)


async def _created(answer: ClientResponse) -> Outcome:
    try:
        id = json.loads(await answer.text("utf-8", "replace"))["data"]["id"]
    except (ValueError, KeyError, TypeError):
        return Unclear("X answered, and did not say which post it made.")
    return Sent(str(id)) if str(id).isdecimal() else Unclear("X answered, and did not say which post it made.")
