"""The client for X: any host, one request at a time, and errors that say what is certain."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.x.client import XClient
from bot.x.errors import (
    Duplicate,
    NotSent,
    OutOfCredits,
    RateLimited,
    Refused,
    Unclear,
    XError,
    latest_reset,
    refusal,
)
from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Reply
from tests.servers.x import LocalX, Trouble
from tests.servers.x_keys import secret
from tests.servers.x_world import Account

NAMES = st.sampled_from(["title", "detail", "type", "errors", "parameters", "status"])
JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


def json_of(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5)


@pytest.fixture
def ada(x: LocalX) -> Account:
    return x.world.add_account("ada")


async def test_keys_of_a_user_sign_for_the_host_that_is_asked(x: LocalX, ada: Account) -> None:
    x.world.publish(ada, "hello")
    keys = secret(x.keys_for(ada))
    assert keys.user_id == ada.id
    async with XClient(x.url + "/", user=keys) as client:
        made = await client.create_tweet(text="¿signed & sealed: 50% “ü”?")
        await client.get_users_tweets(ada.id, start_time="2020-01-01T00:00:00Z", user_auth=client.reads_as_user)
    assert made.status == 201
    assert x.posted_by(ada) == ["¿signed & sealed: 50% “ü”?"]


async def test_token_of_a_user_posts_without_a_signature(x: LocalX, ada: Account) -> None:
    pair = x.door.token_pair(ada.id, "tweet.read tweet.write users.read")
    async with XClient(x.url, bearer=SecretStr(pair.access_token)) as client:
        await client.create_tweet(text="hello", user_auth=False)
    assert x.posted_by(ada) == ["hello"]


async def test_no_connection_means_surely_not_sent(x: LocalX) -> None:
    for url in ("http://127.0.0.1:1", "http://no.such.host.invalid", "no address at all"):
        async with XClient(url, bearer=SecretStr("t"), timeout_s=3) as client:
            with pytest.raises(NotSent):
                await client.create_tweet(text="hello", user_auth=False)


@pytest.mark.parametrize(
    ("what", "is_posted"),
    [
        ({"reply": shapes.unavailable()}, False),
        ({"reply": shapes.unavailable(), "done_first": True}, True),
        ({"reply": shapes.web_page(502), "done_first": True}, True),
        ({"reply": shapes.web_page(200), "done_first": True}, True),
        ({"reply": Reply(201, b"[1]", {"Content-Type": "application/json"}), "done_first": True}, True),
        ({"reply": Reply(201, b"", {"Content-Type": "application/json"}), "done_first": True}, True),
        ({"reply": shapes.moved("/2/tweets"), "done_first": True}, True),
        ({"reply": shapes.moved("/2/tweets", 302)}, False),
        ({"cut_after_bytes": 5}, False),
        ({"lose_answer": True}, True),
        ({"lose_answer": True, "politely": True}, True),
        ({"delay_s": 1.2}, True),
        ({"stall": True}, False),
    ],
)
async def test_what_may_have_been_done_is_unclear_and_never_asked_again(
    x: LocalX, ada: Account, what: dict[str, object], is_posted: bool
) -> None:
    trouble = Trouble("POST", "/2/tweets")
    for name, value in what.items():
        setattr(trouble, name, value)
    x.break_with(trouble)
    async with XClient(x.url, user=secret(x.keys_for(ada)), timeout_s=0.8) as client:
        with pytest.raises(Unclear):
            await client.create_tweet(text="hello")
    trouble.met.wait(1)
    assert x.posted_by(ada) == ["hello"] * is_posted
    assert len(x.asked("POST", "/2/tweets")) <= 1


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (shapes.unauthorized(), Refused, "does not accept the token"),
        (shapes.credits_depleted(), OutOfCredits, "credits"),
        (shapes.usage_capped(), OutOfCredits, "cap for this billing cycle"),
        (shapes.duplicate(), Duplicate, "same text"),
        (shapes.not_summoned(), Refused, "mentioned or quoted"),
        (shapes.app_only(), Refused, "a user's token"),
        (shapes.too_long(), Refused, "too long"),
        (shapes.problem(403, "Forbidden", "no", f"{shapes.PROBLEMS}/oauth1-permissions"), Refused, "only read"),
        (shapes.problem(403, "x", "y", f"{shapes.NEWER_PROBLEMS}/client-forbidden"), Refused, "not enrolled"),
        (shapes.problem(403, "x", "Your account is suspended"), Refused, "suspended"),
        (shapes.not_permitted(), Refused, "not permit"),
        (shapes.too_many(), RateLimited, "again later"),
        (shapes.too_many({"x-rate-limit-reset": "1798761600"}), RateLimited, "after 2027-01-01 00:00:00 UTC"),
        (shapes.invalid("text", "x", "no"), Refused, "(text)"),
        (shapes.web_page(403), Refused, "not permit"),
        (Reply(404), Refused, "nothing at this address"),
        (Reply(400, b"\xff\xfe[]"), Refused, "wrong"),
    ],
)
async def test_complete_refusal_is_one_sentence(
    x: LocalX, ada: Account, reply: Reply, error: type[XError], words: str
) -> None:
    x.break_with(Trouble("POST", "/2/tweets", reply=reply))
    async with XClient(x.url, user=secret(x.keys_for(ada))) as client:
        with pytest.raises(error) as refused:
            await client.create_tweet(text="hello")
    assert words in refused.value.message
    assert refused.value.message.endswith(".")
    assert x.posted == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-rate-limit-reset": "soon"}, None),
        ({"x-rate-limit-reset": "9" * 40}, None),
        ({"x-rate-limit-reset": "100"}, 100),
        ({"x-rate-limit-reset": "100", "x-user-limit-24hour-reset": "900"}, 900),
        (
            {
                "x-rate-limit-reset": "100",
                "x-rate-limit-remaining": "0",
                "x-app-limit-24hour-reset": "900",
                "x-app-limit-24hour-remaining": "17",
            },
            100,
        ),
    ],
)
def test_latest_reset_of_a_limit_that_is_used_up_counts(headers: dict[str, str], seconds: int | None) -> None:
    reset = latest_reset(headers)
    assert (None if reset is None else reset.timestamp()) == seconds


def test_refusal_repeats_nothing_that_x_wrote() -> None:
    body = shapes.problem(403, "my title", "my whole post", "http://x/some-type").body
    assert "my" not in str(refusal(403, {}, body))


@given(
    st.integers(400, 499),
    st.dictionaries(st.sampled_from(["x-rate-limit-reset", "x-rate-limit-remaining"]), st.text(max_size=20)),
    st.binary(max_size=200) | st.recursive(JSON_LEAVES, json_of, max_leaves=20).map(lambda v: json.dumps(v).encode()),
)
def test_whatever_a_4xx_holds_is_a_refusal(status: int, headers: dict[str, str], body: bytes) -> None:
    refused = refusal(status, headers, body)
    assert isinstance(refused, Refused)
    assert refused.message.endswith(".")
    assert isinstance(refused.wrong_parameters, set)


async def test_secrets_are_shown_nowhere(x: LocalX, ada: Account, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = x.keys_for(ada)
    x.break_with(Trouble("POST", "/2/tweets", reply=shapes.unauthorized()))
    async with XClient(x.url, bearer=SecretStr(x.door.app_token), user=secret(keys)) as client:
        await client.get_user(username="ada")
        with pytest.raises(Refused) as refused:
            await client.create_tweet(text="hello")
        shown = " ".join((repr(vars(client)), repr(client), repr(refused.value), str(refused.value), caplog.text))
    for value in (x.door.app_token, keys.consumer_secret, keys.access_token, keys.access_token_secret):
        assert value not in shown
