"""Posts to an X account, and looks on its timeline for what may be there.

Only a connection that failed and a complete 4xx prove that nothing was published. A 403 says which of three things it
is: the same text again, this post never, or this account not now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import ClientResponse

from bot.guard.links import find_links
from bot.posting import published
from bot.posting.money import Budget, Reservation
from bot.posting.published import OwnPost, OwnTimeline
from bot.posting.sender import Duplicate, NotSent, Outcome, Seen, Sent, Unclear
from bot.x import errors
from bot.x.answers import read_answer
from bot.x.client import XClient
from storage.errors import MynahError
from storage.outbox import OutboxPost
from storage.x_ledger import Kind

_PAGE = 5
_MOST_PAGES = 20
_FOR_THIS_POST_ONLY = ("not-authorized-for-resource", "invalid-request")
_FOR_THE_ACCOUNT = (401, 403, 404)
_LATER = (408, 425)


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
            answer = await self.client.create_tweet(text=post.text, user_auth=self.user_auth)
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
                found = published.find(post.text, seen, taken)
                if found is not None or token is None:
                    return Seen(None if found is None else found.id, published.newest(seen))
        except MynahError as error:
            return _not_sent(error)
        return NotSent("There are too many newer posts on the timeline to look through.")

    async def _page(self, since_id: str | None, token: str | None) -> OwnTimeline:
        reservation = await self.budget.reserve("read", _PAGE)
        try:
            answer = await self._ask(since_id, token, reservation)
            page = await read_answer(OwnTimeline, answer)
        except errors.Unreadable:
            await reservation.settle()
            raise
        await reservation.settle(len(page.data))
        if not page.data and page.errors:
            raise errors.Refused(403, page.errors[0], "X does not show the account's own timeline.", "Sign in at X.")
        return page

    async def _ask(self, since_id: str | None, token: str | None, reservation: Reservation) -> ClientResponse:
        since = {"since_id": since_id} if since_id and since_id != "0" else {}
        more = {"pagination_token": token} if token else {}
        try:
            answer: ClientResponse = await self.client.get_users_tweets(
                self.account_id,
                max_results=_PAGE,
                tweet_fields=published.FIELDS,
                user_auth=self.user_auth,
                **since,
                **more,
            )
        except errors.Unclear:
            await reservation.settle()
            raise
        except errors.XError:
            await reservation.release()
            raise
        return answer


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
