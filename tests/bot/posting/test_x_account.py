"""Before anything is posted, the account's owner has vouched for its label and its bio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.errors import CommandError
from bot.posting.posting import Posting
from bot.posting.x_account import XAccount
from bot.settings import Settings, Tokens
from bot.settings.x import X
from bot.x.access import TOKEN_FILE
from bot.x.errors import Refused
from bot.x.login import SCOPES
from bot.x.token_file import TokenFile, TokenPair
from storage import outbox, switches
from tests.bot.posting.desk import Desk, Free
from tests.servers.x_keys import secret

BIO = "A bot that imitates its owner's posts. Run by @owner, mail@example.org"


@dataclass
class Answers:
    """Says yes, or what a test says, and keeps what was asked."""

    yes: Callable[[str], bool] = lambda question: True
    asked: list[str] = field(default_factory=list)

    async def __call__(self, question: str) -> bool:
        self.asked.append(question)
        return self.yes(question)


def settings_of(desk: Desk, **tokens: SecretStr | None) -> Settings:
    keys = secret(desk.x.keys_for(desk.account))
    given = {
        "x_consumer_key": keys.consumer_key,
        "x_consumer_secret": keys.consumer_secret,
        "x_access_token": keys.access_token,
        "x_access_token_secret": keys.access_token_secret,
    }
    return Settings(x=X(base_url=desk.x.url), tokens=Tokens.model_validate(given | tokens))


def account_of(desk: Desk, posting: Posting, settings: Settings | None = None) -> XAccount:
    return XAccount(settings or settings_of(desk), desk.store, desk.notices, posting, Free())


async def test_nothing_is_posted_before_the_label_is_confirmed(desk: Desk) -> None:
    desk.account.bio = BIO
    posting = Posting(desk.store, desk.notices, clock=desk.clock)
    await desk.decide("hello")
    async with account_of(desk, posting).connected():
        await desk.work()
        assert desk.published == []
        answers = Answers()
        profile, is_right = await account_of(desk, posting).check(answers, "owner")
        assert (profile.handle, profile.lacks, is_right, len(answers.asked)) == ("bot", (), True, 1)
        await desk.work()
        assert desk.published == ["hello"]
    assert [notice.kind for notice in await desk.notices.unseen()] == ["halt"]


async def test_confirmed_account_needs_no_further_word(desk: Desk) -> None:
    desk.account.bio = BIO
    await account_of(desk, Posting(desk.store, desk.notices)).check(Answers(), "owner")
    async with account_of(desk, Posting(desk.store, desk.notices)).connected():
        assert await desk.store.run(switches.all) == []


@pytest.mark.parametrize(
    ("bio", "lacks"),
    [
        ("", 2),
        ("Just a person", 2),
        ("A bot", 1),
        ("See https://example.org", 1),
        ("AI parody run by @owner", 0),
        (BIO, 0),
    ],
)
async def test_bio_has_to_say_bot_and_name_somebody(desk: Desk, bio: str, lacks: int) -> None:
    desk.account.bio = bio
    answers = Answers(lambda question: "label" in question)
    profile, is_right = await account_of(desk, Posting(desk.store, desk.notices)).check(answers, "owner")
    assert (len(profile.lacks), is_right) == (lacks, lacks == 0)


async def test_account_without_its_label_stays_silent(desk: Desk) -> None:
    desk.account.bio = BIO
    posting = Posting(desk.store, desk.notices)
    account = account_of(desk, posting)
    async with account.connected():
        _, is_right = await account.check(Answers(lambda question: False), "owner")
        assert not is_right
        assert [switch.name for switch in await posting.stops()] == ["halt:x"]


async def test_check_leaves_a_halt_for_another_reason(desk: Desk) -> None:
    desk.account.bio = BIO
    posting = Posting(desk.store, desk.notices)
    await desk.store.run(switches.set, switches.halt("x"), "no credits", "posting", posting.now())
    await account_of(desk, posting).check(Answers(), "owner")
    assert [switch.reason for switch in await posting.stops()] == ["no credits"]


async def test_wrong_keys_are_told(desk: Desk) -> None:
    settings = settings_of(desk, x_access_token_secret=SecretStr("mistyped"))
    with pytest.raises(Refused, match="token"):
        await account_of(desk, Posting(desk.store, desk.notices), settings).check(Answers(), "owner")


async def test_without_keys_posts_wait_and_say_why(desk: Desk) -> None:
    settings = settings_of(desk, x_consumer_key=None)
    posting = Posting(desk.store, desk.notices)
    account = account_of(desk, posting, settings)
    id = await desk.decide("hello", posting.now())
    with pytest.raises(CommandError, match="No account"):
        await account.check(Answers(), "owner")
    async with account.connected(), posting.working():
        for _ in range(500):
            if (await desk.get(id)).attempts:
                break
            await asyncio.sleep(0.02)
    post = await desk.get(id)
    assert (post.state, post.reason) == ("due", "No account on X is connected.")
    assert [move.to_state for move in await desk.store.run(outbox.history, id)] == ["due", "claimed", "due"]


async def logged_in(desk: Desk, folder: Path) -> Settings:
    """Settings of an app whose account logged in by OAuth 2.0, with a token that ends in a minute."""
    settings = Settings(
        x=X(base_url=desk.x.url), data_dir=folder, tokens=Tokens(x_client_id=SecretStr(desk.x.door.client_id),
        x_client_secret=SecretStr(desk.x.door.client_secret)),
    )  # fmt: skip
    pair = desk.x.door.token_pair(desk.account.id, SCOPES)
    ends = datetime.now(UTC) + timedelta(minutes=1)
    token = TokenPair(
        access_token=SecretStr(pair.access_token), refresh_token=SecretStr(pair.refresh_token), expires_at=ends
    )
    TokenFile(folder / TOKEN_FILE).write(token)
    return settings


async def test_login_posts_with_tokens_that_are_renewed(desk: Desk, tmp_path: Path) -> None:
    desk.account.bio = BIO
    settings = await logged_in(desk, tmp_path)
    account = account_of(desk, Posting(desk.store, desk.notices, clock=desk.clock), settings)
    await desk.decide("by login")
    async with account.connected():
        await account.check(Answers(), "owner")
        assert account._sender is not None
        desk.lane._sender = account._sender
        await desk.work()
    assert desk.published == ["by login"]
    assert len(desk.x.asked("POST", "/2/oauth2/token")) == 1


async def test_login_that_ended_stops_posting_with_nothing_sent(desk: Desk, tmp_path: Path) -> None:
    desk.account.bio = BIO
    settings = await logged_in(desk, tmp_path)
    account = account_of(desk, Posting(desk.store, desk.notices, clock=desk.clock), settings)
    await account.check(Answers(), "owner")
    desk.x.door.revoke_all()
    id = await desk.decide("too late")
    async with account.connected():
        assert account._sender is not None
        desk.lane._sender = account._sender
        await desk.work()
    assert (desk.published, (await desk.get(id)).state) == ([], "due")
    assert await desk.store.run(switches.get, "halt:x") is not None
