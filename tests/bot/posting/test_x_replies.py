"""Whoever mentions the account is answered where the owner wants that: once a thread, through the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest

from bot.guard.author import GuardedAuthor
from bot.posting import etiquette
from bot.posting.posting import Posting
from bot.posting.x_account import XAccount
from bot.posting.x_replies import Replies
from bot.schedules.runner import Refused, Written
from bot.settings import Settings
from storage import outbox, personas, replies, switches
from storage.outbox import Decided, OutboxPost
from storage.personas import Persona
from tests.bot.posting.desk import Desk, Free
from tests.bot.posting.test_x_account import settings_of
from tests.servers import x_shapes as shapes
from tests.servers.x import Trouble
from tests.servers.x_world import Account, XPost


class Says(GuardedAuthor):
    """Numbers its answers, and keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.answers: list[Written | Refused] = []

    async def write(
        self, persona: Persona, prompt: str, target: str, due_at: datetime, context: Sequence[str] = ()
    ) -> Written | Refused:
        self.heard.append((persona.handle, " ".join(context)))
        return self.answers.pop(0) if self.answers else Written(f"answer {len(self.heard)}", None)


@pytest.fixture
def author() -> Says:
    return Says()


@pytest.fixture
def ann(desk: Desk) -> Account:
    return desk.x.world.add_account("ann")


def with_replies(desk: Desk) -> Settings:
    settings = settings_of(desk)
    return settings.model_copy(update={"x": settings.x.model_copy(update={"replies": True})})


@pytest.fixture
async def fresh(desk: Desk, author: Says) -> AsyncIterator[Replies]:
    """On an account that is confirmed and connected, where nobody has looked for mentions yet."""
    settings, posting = with_replies(desk), Posting(desk.store, desk.notices, clock=desk.clock)
    account = XAccount(settings, desk.store, desk.notices, posting, Free())
    await desk.store.run(switches.confirm, etiquette.CONFIRMATION + desk.account.id, "owner", desk.clock.now())
    async with account.connected():
        yield Replies(settings, desk.store, desk.notices, posting, account, author)


@pytest.fixture
async def answering(desk: Desk, fresh: Replies) -> Replies:
    """The account's first post is there, and so are the mentions of before."""
    await desk.decide("the first post")
    await desk.work()
    assert await fresh.look() == 0
    return fresh


def mention(desk: Desk, author: Account, text: str, replies_to: str | None = None) -> XPost:
    desk.clock.time += timedelta(minutes=1)
    return desk.x.world.publish(author, text, replies_to=replies_to)


async def decided(desk: Desk) -> list[OutboxPost]:
    return [post for post in await desk.store.run(outbox.read, "order by id") if post.reply_to]


async def test_mention_is_answered_once_a_thread_and_person(
    desk: Desk, answering: Replies, author: Says, ann: Account
) -> None:
    bob = desk.x.world.add_account("bob")
    call = mention(desk, ann, "@bot what of the sea & the @owl?")
    assert await answering.look() == 1
    await desk.work()
    again = mention(desk, ann, "@bot and then?", replies_to=call.id)
    other = mention(desk, bob, "@bot hear hear", replies_to=again.id)
    assert await answering.look() == 1
    await desk.work()
    assert author.heard == [("ada", "what of the sea & the ?"), ("ada", "hear hear")]
    posted = {post.typed: post.replies_to for post in desk.x.posted}
    assert posted == {"the first post": None, "answer 1": call.id, "answer 2": other.id}
    assert await answering.look() == 0


async def test_mentions_of_before_old_ones_and_own_posts_stay_without_an_answer(
    desk: Desk, fresh: Replies, author: Says, ann: Account
) -> None:
    mention(desk, ann, "@bot before anybody looked")
    assert await fresh.look() == 0
    mention(desk, ann, "@bot before anything was posted")
    assert await fresh.look() == 0
    await desk.decide("the first post")
    await desk.work()
    mention(desk, ann, "@bot while Mynah was off")
    desk.clock.time += timedelta(hours=7)
    mention(desk, desk.account, "@bot to itself")
    assert await fresh.look() == 0
    assert author.heard == []


async def test_persona_whose_post_is_answered_answers(
    desk: Desk, answering: Replies, author: Says, ann: Account
) -> None:
    (first,) = desk.x.posted
    bea = await desk.store.run(personas.ensure, "bea")
    desk.clock.time += timedelta(hours=1)
    later = Decided(bea.id, None, None, "x", "a later post", desk.clock.now(), "later")
    await desk.store.run(outbox.decide, later, desk.clock.now())
    await desk.work()
    mention(desk, ann, "@bot about the first", replies_to=first.id)
    mention(desk, ann, "@bot about nothing")
    assert await answering.look() == 2
    assert author.heard == [("ada", "about the first"), ("bea", "about nothing")]


async def test_answer_that_may_have_been_sent_is_found_and_not_repeated(
    desk: Desk, answering: Replies, ann: Account
) -> None:
    call = mention(desk, ann, "@bot what of the sea?")
    await answering.look()
    desk.x.break_with(Trouble("POST", "/2/tweets", lose_answer=True))
    await desk.work()
    (answer,) = await decided(desk)
    assert (answer.state, answer.attempts) == ("sent", 1)
    assert [post.replies_to for post in desk.x.posted[1:]] == [call.id]


async def test_draft_waits_and_what_the_guard_refuses_is_left(
    desk: Desk, answering: Replies, author: Says, ann: Account
) -> None:
    author.answers = [Refused("None may leave."), Written("a draft", None, "draft")]
    mention(desk, ann, "@bot one")
    mention(desk, ann, "@bot two")
    assert await answering.look() == 1
    await desk.work()
    assert [(post.text, post.state) for post in await decided(desk)] == [("a draft", "draft")]


async def test_nothing_is_read_while_it_is_off_or_posting_is_stopped(
    desk: Desk, answering: Replies, ann: Account
) -> None:
    mention(desk, ann, "@bot what of the sea?")
    asked = len(desk.x.asked("GET", "/mentions"))
    await desk.store.run(switches.set, switches.PAUSE, "at night", "me", desk.clock.now())
    assert await answering.look() == 0
    await desk.store.run(switches.clear, switches.PAUSE)
    answering._settings = settings_of(desk)
    assert await answering.look() == 0
    assert len(desk.x.asked("GET", "/mentions")) == asked


async def test_refusal_of_the_account_stops_posting_and_the_owner_is_told(desk: Desk, answering: Replies) -> None:
    desk.x.break_with(Trouble("GET", "/mentions", reply=shapes.credits_depleted()))
    assert await answering.look() == 0
    assert await desk.store.run(switches.get, switches.halt("x")) is not None
    (notice,) = await desk.notices.unseen()
    assert notice.message == "Posting to x is stopped. The credits of X's API are used up."


async def test_mention_is_passed_over_in_the_transaction_that_decides(desk: Desk, answering: Replies) -> None:
    persona = await desk.store.run(personas.ensure, "ada")
    due = desk.clock.now()
    answer = Decided(persona.id, None, None, "x", "yes", due, replies.key("7", "8"), reply_to="9000")
    first = await desk.store.run(replies.pass_over, "x", "9000", answer, due)
    assert first is not None
    assert await desk.store.run(replies.newest, "x") == "9000"
    assert await desk.store.run(replies.pass_over, "x", "9001", answer, due) is None
