"""Collecting an account's posts from X: what comes, what it costs, and how it goes on after a break."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sources.x_api import Account, find_account, page_size, source_of
from storage.posts import Post
from tests.bot.sources.x_collecting import READ, Clock, pages_of, publish, reader, texts
from tests.servers import x_shapes as shapes
from tests.servers.x import LocalX
from tests.servers.x_clock import START
from tests.servers.x_world import Account as XAccount


async def test_account_is_found_with_its_count_of_posts(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 3)
    async with reader(x) as client:
        account = await find_account(client, " @ada_l", patience=clock.patience)
    assert account == Account(ada.id, "Ada_L", "Ada L.", 3, False)
    assert x.world.spent() == Decimal("0.010")


async def test_posts_come_as_published_newest_first(x: LocalX, ada: XAccount, clock: Clock) -> None:
    link = shapes.wire_text("https://example.org")[0]
    post = x.world.publish(ada, "a < b & c https://example.org", START - timedelta(days=1))
    newer = x.world.publish(ada, "newer", START)
    (page,) = await pages_of(x, clock)
    assert page.posts == (
        Post("x_api", newer.id, "Ada_L", START, "newer"),
        Post("x_api", post.id, "Ada_L", START - timedelta(days=1), f"a &lt; b &amp; c {link}"),
    )
    source = source_of(Account(ada.id, "Ada_L", "Ada L.", 2, False), page)
    assert (source.kind, source.handle, source.display_name) == ("x_api", "Ada_L", "Ada L.")
    assert tuple(source.posts) == page.posts


async def test_kinds_are_told_apart_and_reposts_left_out_unless_wanted(x: LocalX, ada: XAccount, clock: Clock) -> None:
    other = x.world.publish(x.world.add_account("bob"), "of another")
    x.world.publish(ada, "post", START)
    x.world.publish(ada, "reply", START - timedelta(minutes=1), replies_to=other.id)
    x.world.publish(ada, "quote", START - timedelta(minutes=2), quotes=other.id)
    x.world.publish(ada, "repost", START - timedelta(minutes=3), reposts=other.id)
    assert [post.kind for page in await pages_of(x, clock) for post in page.posts] == ["post", "reply", "quote"]
    assert x.world.spent() == 3 * READ
    with_reposts = await pages_of(x, clock, with_reposts=True)
    assert [post.kind for post in with_reposts[0].posts] == ["post", "reply", "quote", "repost"]
    assert texts(with_reposts)[3] == "RT @bob: of another"


async def test_long_post_comes_whole(x: LocalX, ada: XAccount, clock: Clock) -> None:
    long = "many words & more " * 30
    x.world.publish(ada, long)
    assert texts(await pages_of(x, clock)) == [long.replace("&", "&amp;")]


async def test_own_parent_comes_along_also_from_a_later_page(x: LocalX, ada: XAccount, clock: Clock) -> None:
    x.short_pages = 2
    first = x.world.publish(ada, "one", START - timedelta(hours=3))
    second = x.world.publish(ada, "two", START - timedelta(hours=2), replies_to=first.id)
    x.world.publish(ada, "three", START - timedelta(hours=1), replies_to=second.id)
    newest, oldest = await pages_of(x, clock)
    assert [(post.text, post.in_reply_to) for post in newest.posts] == [("three", "two"), ("two", None)]
    assert [(post.text, post.in_reply_to) for post in oldest.posts] == [("one", None), ("two", "one")]
    assert x.world.spent() == 3 * READ


async def test_pages_of_a_hundred_cost_each_post_once(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 250)
    pages = await pages_of(x, clock)
    assert texts(pages) == [f"post {n}" for n in range(250)]
    assert [page.checkpoint.read for page in pages] == [100, 200, 250]
    assert [page.checkpoint.is_complete for page in pages] == [False, False, True]
    assert x.world.spent() == 250 * READ


@pytest.mark.parametrize(("depth", "read"), [(0, 0), (4, 0), (5, 5), (100, 100), (103, 103), (1_000, 130)])
async def test_no_more_is_read_than_the_depth_allows(
    x: LocalX, ada: XAccount, clock: Clock, depth: int, read: int
) -> None:
    publish(x, ada, 130)
    assert len(texts(await pages_of(x, clock, depth=depth))) == read
    assert x.world.spent() == read * READ


@given(st.integers(0, 5_000))
def test_pages_add_up_to_what_is_allowed(left: int) -> None:
    total = 0
    while size := page_size(left - total):
        assert 5 <= size <= 100
        total += size
    assert total == (left if left >= 5 else 0)


@pytest.mark.parametrize("tokens_expire", [False, True])
async def test_broken_collection_goes_on_and_pays_nothing_twice(
    x: LocalX, ada: XAccount, clock: Clock, tokens_expire: bool
) -> None:
    publish(x, ada, 250)
    before = await pages_of(x, clock, stop_after=1)
    clock.time += timedelta(days=2)
    if tokens_expire:
        x.expire_page_tokens()
    after = await pages_of(x, clock, before[-1].checkpoint)
    assert texts(before + after) == [f"post {n}" for n in range(250)]
    assert after[-1].checkpoint.read == 250
    assert x.world.spent() == 250 * READ


async def test_large_account_is_read_as_deep_as_x_goes_through_limits_and_a_break(
    x: LocalX, ada: XAccount, clock: Clock
) -> None:
    publish(x, ada, 3_247)
    x.limits["timeline"] = 12
    before = await pages_of(x, clock, stop_after=17)
    after = await pages_of(x, clock, before[-1].checkpoint)
    assert texts(before + after) == [f"post {n}" for n in range(3_200)]
    assert [reason for _, reason in clock.waits] == ["RateLimited", "RateLimited"]
    assert x.world.spent() == Decimal("16.000")


async def test_complete_collection_asks_nothing_again(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 7)
    (page,) = await pages_of(x, clock)
    asked = len(x.journal)
    assert await pages_of(x, clock, page.checkpoint) == []
    assert len(x.journal) == asked


async def test_refresh_brings_what_was_posted_since(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 7)
    (page,) = await pages_of(x, clock)
    clock.time += timedelta(days=1)
    x.world.publish(ada, "fresh")
    (fresh,) = await pages_of(x, clock, page.checkpoint.refresh())
    assert texts([fresh]) == ["fresh"]
    assert x.world.spent() == 8 * READ
    (nothing,) = await pages_of(x, clock, fresh.checkpoint.refresh())
    assert (nothing.posts, nothing.checkpoint.newest_id) == ((), fresh.checkpoint.newest_id)
    assert x.world.spent() == 8 * READ
