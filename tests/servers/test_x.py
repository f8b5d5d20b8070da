"""The local X as tweepy sees it, unmodified: what the other tests and the bench of three months stand on."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ContentTypeError
from hypothesis import given
from hypothesis import strategies as st
from tweepy import BadRequest, Forbidden, HTTPException, NotFound, TooManyRequests, TwitterServerError, Unauthorized

from tests.servers import x_shapes as shapes
from tests.servers.plain_tweepy import plain_tweepy
from tests.servers.x import LocalX, Trouble
from tests.servers.x_clock import START, Clock
from tests.servers.x_world import PRICES, Account, weighted_length

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared/specs/twitter-text/conformance/validate.yml"


async def test_user_is_found_by_name_and_by_id(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x) as client:
        by_name = (await client.get_user(username="Ada")).data
        by_id = (await client.get_user(id=ada.id, user_fields=["protected"])).data
    assert (by_name.id, by_name.name, by_name.username) == (int(ada.id), "Ada L.", "ada")
    assert (by_id.username, by_id.protected) == ("ada", False)


async def test_missing_suspended_and_protected_are_told_as_success_with_errors(x: LocalX, ada: Account) -> None:
    x.world.add_account("bob").suspended = True
    ada.protected = True
    async with plain_tweepy(x) as client:
        answers = [
            await client.get_user(username="nobody"),
            await client.get_user(username="bob"),
            await client.get_users_tweets(ada.id),
        ]
    assert [(answer.data, answer.errors[0]["title"]) for answer in answers] == [
        (None, "Not Found Error"), (None, "Forbidden"), (None, "Authorization Error"),
    ]  # fmt: skip


async def test_timeline_pages_go_from_newest_to_oldest(x: LocalX, ada: Account) -> None:
    posts = [x.world.publish(ada, f"post {n}", START - timedelta(hours=n)) for n in range(12)]
    async with plain_tweepy(x) as client:
        first = await client.get_users_tweets(ada.id, max_results=7)
        second = await client.get_users_tweets(ada.id, max_results=7, pagination_token=first.meta["next_token"])
    assert [tweet.text for page in (first, second) for tweet in page.data] == [f"post {n}" for n in range(12)]
    assert first.meta["newest_id"] == posts[0].id
    assert second.meta == {"result_count": 5, "newest_id": posts[7].id, "oldest_id": posts[11].id}


async def test_since_and_until_are_exclusive(x: LocalX, ada: Account) -> None:
    posts = [x.world.publish(ada, f"post {n}", START - timedelta(hours=9 - n)) for n in range(5)]
    async with plain_tweepy(x) as client:
        between = await client.get_users_tweets(ada.id, since_id=posts[0].id, until_id=posts[3].id)
        nothing = await client.get_users_tweets(ada.id, since_id=posts[4].id)
    assert [tweet.text for tweet in between.data] == ["post 2", "post 1"]
    assert (nothing.data, nothing.meta) == (None, {"result_count": 0})


async def test_fields_come_only_when_asked_for_in_the_dialect_asked_in(x: LocalX, ada: Account) -> None:
    long = "word " * 80
    parent = x.world.publish(ada, "first")
    x.world.publish(ada, long, replies_to=parent.id)
    async with plain_tweepy(x) as client, ClientSession() as session:
        plain = (await client.get_users_tweets(ada.id)).data[0].data
        old = (
            await client.get_users_tweets(ada.id, tweet_fields=["note_tweet", "referenced_tweets", "nonsense"])
        ).data[0].data  # fmt: skip
        new_url = f"{x.url}/2/users/{ada.id}/tweets?post.fields=note_post,created_at&expansions=referenced_posts"
        async with session.get(new_url, headers={"Authorization": f"Bearer {x.door.app_token}"}) as answer:
            new = (await answer.json())["data"][0]
    assert set(plain) == {"id", "text", "edit_history_tweet_ids"}
    assert len(plain["text"]) < 300
    assert old["note_tweet"]["text"] == long
    assert old["referenced_tweets"] == [{"type": "replied_to", "id": parent.id}]
    assert set(new) == {
        "id", "text", "edit_history_post_ids", "note_post", "created_at", "referenced_posts",
    }  # fmt: skip


async def test_text_is_escaped_and_links_are_shortened(x: LocalX, ada: Account) -> None:
    x.world.publish(ada, "a < b & c https://example.org/long/path?x=1")
    async with plain_tweepy(x) as client:
        tweet = (await client.get_users_tweets(ada.id, tweet_fields=["entities"])).data[0]
    (url,) = tweet.entities["urls"]
    assert tweet.text == f"a &lt; b &amp; c {url['url']}"
    assert url["url"].startswith("https://t.co/")
    assert url["expanded_url"] == "https://example.org/long/path?x=1"
    assert tweet.text[url["start"] : url["end"]] == url["url"]


async def test_timeline_is_shallower_without_replies(x: LocalX, ada: Account) -> None:
    first = x.world.publish(ada, "post", START - timedelta(days=30))
    for n in range(801):
        x.world.publish(ada, f"reply {n}", START - timedelta(minutes=n + 1), replies_to="1" if n == 800 else None)
    assert len(x.world.timeline(ada, frozenset())) == 802
    assert len(x.world.timeline(ada, frozenset({"replies"}))) == 800
    assert first not in x.world.timeline(ada, frozenset({"replies"}))


async def test_page_size_out_of_bounds_and_strange_token_are_refused(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x) as client:
        for wrong in ({"max_results": 4}, {"max_results": 101}, {"pagination_token": "nonsense!"}):
            with pytest.raises(BadRequest):
                await client.get_users_tweets(ada.id, **wrong)


async def test_post_is_made_once_and_shows_in_the_timeline(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        made = await client.create_tweet(text="hello & welcome: ¿qué tal?")
        timeline = await client.get_users_tweets(ada.id)
    assert x.posted_by(ada) == ["hello & welcome: ¿qué tal?"]
    assert [(tweet.id, tweet.text) for tweet in timeline.data] == [
        (int(made.data["id"]), "hello &amp; welcome: ¿qué tal?")
    ]


async def test_what_x_refuses_is_not_posted(x: LocalX, ada: Account) -> None:
    stranger = x.world.publish(x.world.add_account("bob"), "nothing for anybody")
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="hello")
        for error, body in (
            (Forbidden, {"text": "hello"}),
            (Forbidden, {"text": "x" * 281}),
            (Forbidden, {"text": "hi", "in_reply_to_tweet_id": stranger.id}),
            (Forbidden, {"text": "look", "quote_tweet_id": stranger.id}),
            (BadRequest, {"text": " "}),
        ):
            with pytest.raises(error):
                await client.create_tweet(**body)
        with pytest.raises(Forbidden):
            await client.create_tweet(text="an app cannot post", user_auth=False)
    assert x.posted_by(ada) == ["hello"]


async def test_reply_is_allowed_to_who_mentioned_the_account(x: LocalX, ada: Account) -> None:
    call = x.world.publish(x.world.add_account("bob"), "what do you think, @Ada?")
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        mentions = await client.get_users_mentions(ada.id)
        await client.create_tweet(text="well", in_reply_to_tweet_id=call.id)
    assert [tweet.id for tweet in mentions.data] == [int(call.id)]
    assert [(post.typed, post.replies_to) for post in x.posted] == [("well", call.id)]


async def test_same_text_is_a_duplicate_until_the_window_is_past(x: LocalX, ada: Account, clock: Clock) -> None:
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="good morning")
        clock.time += timedelta(hours=23)
        with pytest.raises(Forbidden) as refused:
            await client.create_tweet(text=" good  morning")
        clock.time += timedelta(hours=2)
        await client.create_tweet(text="good morning")
    assert (await refused.value.response.json())["detail"].endswith("duplicate content.")
    assert x.posted_by(ada) == ["good morning", "good morning"]


async def test_limit_is_told_in_headers_and_starts_over(x: LocalX, ada: Account, clock: Clock) -> None:
    x.limits["timeline"] = 1
    async with plain_tweepy(x) as client:
        await client.get_users_tweets(ada.id)
        with pytest.raises(TooManyRequests) as refused:
            await client.get_users_tweets(ada.id)
        clock.time += timedelta(minutes=16)
        await client.get_users_tweets(ada.id)
    assert refused.value.reset_time == int((START + timedelta(minutes=15)).timestamp()) + 1
    assert refused.value.response.headers["x-rate-limit-remaining"] == "0"


async def test_daily_limit_of_posts_has_a_later_reset_of_its_own(x: LocalX, ada: Account) -> None:
    x.posts_a_day = 1
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="one")
        with pytest.raises(TooManyRequests) as refused:
            await client.create_tweet(text="two")
    headers = refused.value.response.headers
    assert headers["x-user-limit-24hour-remaining"] == "0"
    assert headers["x-rate-limit-remaining"] == "98"
    assert int(headers["x-user-limit-24hour-reset"]) > int(headers["x-rate-limit-reset"])


async def test_reading_a_post_is_charged_once_a_day(x: LocalX, ada: Account, clock: Clock) -> None:
    x.world.publish(ada, "one")
    async with plain_tweepy(x) as client:
        for _ in range(2):
            await client.get_users_tweets(ada.id)
        assert x.world.spent() == PRICES["post_read"]
        clock.time += timedelta(days=1)
        await client.get_users_tweets(ada.id)
    assert x.world.spent() == 2 * PRICES["post_read"]


async def test_owner_reads_cheaper_and_links_are_dear(x: LocalX, ada: Account) -> None:
    x.world.owner_id = ada.id
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="no link")
        await client.create_tweet(text="see https://example.org")
        await client.get_users_tweets(ada.id, user_auth=True)
    assert [str(charge.dollars) for charge in x.world.charges] == ["0.015", "0.200", "0.001", "0.001"]


async def test_empty_account_is_out_of_credits(x: LocalX, ada: Account) -> None:
    x.world.credits = Decimal("0.012")
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="slightly below zero is allowed")
        with pytest.raises(HTTPException) as refused:
            await client.create_tweet(text="then nothing is")
    assert refused.value.response.status == 402
    assert x.posted_by(ada) == ["slightly below zero is allowed"]


@pytest.mark.parametrize(
    ("trouble", "error", "is_posted"),
    [
        (Trouble("POST", "/2/tweets", reply=shapes.unavailable()), TwitterServerError, False),
        (Trouble("POST", "/2/tweets", reply=shapes.unavailable(), done_first=True), TwitterServerError, True),
        (Trouble("POST", "/2/tweets", reply=shapes.unauthorized()), Unauthorized, False),
        (Trouble("POST", "/2/tweets", reply=shapes.too_many()), TooManyRequests, False),
        (Trouble("POST", "/2/tweets", reply=shapes.usage_capped()), TooManyRequests, False),
        (Trouble("POST", "/2/tweets", reply=shapes.credits_depleted()), HTTPException, False),
        (Trouble("POST", "/2/tweets", reply=shapes.web_page(), done_first=True), ContentTypeError, True),
        (Trouble("POST", "/2/tweets", reply=shapes.web_page(200), done_first=True), ContentTypeError, True),
        (Trouble("POST", "/2/tweets", reply=shapes.problem(404, "Not Found", "no")), NotFound, False),
        (Trouble("POST", "/2/tweets", cut_after_bytes=5), ClientError, False),
        (Trouble("POST", "/2/tweets", lose_answer=True), ClientError, True),
        (Trouble("POST", "/2/tweets", lose_answer=True, politely=True), ClientError, True),
    ],
)
async def test_trouble_strikes_before_or_after_posting(
    x: LocalX, ada: Account, trouble: Trouble, error: type[Exception], is_posted: bool
) -> None:
    trouble.times, trouble.met = 1, type(trouble.met)()
    x.break_with(trouble)
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        with pytest.raises(error):
            await client.create_tweet(text="hello")
        assert x.posted_by(ada) == ["hello"] * is_posted
        await client.create_tweet(text="and on it goes")


async def test_slow_answer_comes_after_the_client_has_gone(x: LocalX, ada: Account) -> None:
    x.break_with(Trouble("POST", "/2/tweets", delay_s=0.4))
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.create_tweet(text="late"), 0.1)
        await asyncio.sleep(0.6)
    assert x.posted_by(ada) == ["late"]


async def test_plain_tweepy_follows_a_308_and_posts_again(x: LocalX, ada: Account) -> None:
    x.break_with(Trouble("POST", "/2/tweets", reply=shapes.moved("/2/tweets"), done_first=True))
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        with pytest.raises((Forbidden, Unauthorized)):
            await client.create_tweet(text="twice?")
    assert len(x.asked("POST", "/2/tweets")) == 2
    assert x.posted_by(ada) == ["twice?"]


async def test_new_post_is_missing_from_the_timeline_for_a_while(x: LocalX, ada: Account, clock: Clock) -> None:
    x.read_lag = timedelta(minutes=2)
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.create_tweet(text="hello")
        assert (await client.get_users_tweets(ada.id)).data is None
        clock.time += timedelta(minutes=2)
        assert [tweet.text for tweet in (await client.get_users_tweets(ada.id)).data] == ["hello"]


async def test_deletion_and_edit_by_hand_show_in_the_timeline(x: LocalX, ada: Account, clock: Clock) -> None:
    gone, kept = x.world.publish(ada, "gone"), x.world.publish(ada, "tpyo")
    x.delete_by_hand(gone)
    clock.time += timedelta(minutes=1)
    newer = x.world.edit(kept, "typo")
    async with plain_tweepy(x) as client:
        (tweet,) = (await client.get_users_tweets(ada.id)).data
    assert (tweet.text, tweet.edit_history_tweet_ids) == ("typo", [int(kept.id), int(newer.id)])


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="../shared/specs/twitter-text is not there")
def test_id_of_a_deleted_post_is_given_to_no_other(x: LocalX, ada: Account) -> None:
    first = x.world.publish(ada, "first")
    x.delete_by_hand(first)
    assert x.world.publish(ada, "second").id != first.id


def test_weighted_length_is_that_of_every_published_case() -> None:
    cases = weighted_cases(CONFORMANCE.read_text("utf-8"))
    assert len(cases) == 22
    wrong = {text[:60]: (weighted_length(text), length) for text, length in cases if weighted_length(text) != length}
    assert wrong == {}


def weighted_cases(yaml: str) -> list[tuple[str, int]]:
    """Texts in double quotes and their lengths, from the one section that is about configuration 3."""
    section = yaml.partition("WeightedTweetsWithDiscountedEmojiCounterTest:")[2].partition("\n  Unicode")[0]
    cases: list[tuple[str, int]] = []
    text = ""
    for line in section.splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "text":
            text = json.loads(value.replace("\\U000", "\\u0").replace("\\x", "\\u00"))
        elif key == "weightedLength":
            cases.append((text, int(value)))
    return cases


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_published_text_gives_back_what_was_typed(typed: str) -> None:
    text, urls = shapes.wire_text(typed)
    for url in reversed(urls):
        begin, end = url["start"], url["end"]
        assert isinstance(begin, int)
        assert isinstance(end, int)
        assert text[begin:end] == url["url"]
    assert ("<" in text, ">" in text) == (False, False)
