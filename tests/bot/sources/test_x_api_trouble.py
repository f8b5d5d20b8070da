"""Collecting from X where it says no, nothing, or something strange: waits, sentences, and no cent in vain."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr

from bot.sources.x_api import collect, find_account
from bot.x.client import UserKeys, XClient
from bot.x.errors import AccountUnreadable, OutOfCredits, RateLimited, Refused, Unclear, Unreadable, XError
from tests.bot.sources.x_collecting import READ, Clock, pages_of, publish, reader, texts
from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Reply
from tests.servers.x import LocalX, Trouble
from tests.servers.x_clock import START
from tests.servers.x_world import Account as XAccount


async def test_limit_is_waited_out_until_the_reset_that_x_names(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 250)
    x.limits["timeline"] = 1
    assert len(texts(await pages_of(x, clock))) == 250
    assert [reason for _, reason in clock.waits] == ["RateLimited", "RateLimited"]
    assert clock.waits[0][0] == START.replace(microsecond=0) + timedelta(minutes=15, seconds=2)
    assert len(x.asked("GET", "/tweets")) == 5


async def test_limits_without_a_reset_or_with_a_past_one_are_waited_out_blindly(
    x: LocalX, ada: XAccount, clock: Clock
) -> None:
    publish(x, ada, 1)
    x.break_with(Trouble("GET", "/tweets", reply=shapes.too_many()))
    x.break_with(Trouble("GET", "/tweets", reply=shapes.too_many({"x-rate-limit-reset": "1"})))
    assert texts(await pages_of(x, clock)) == ["post 0"]
    assert clock.time == START + timedelta(seconds=60 + 120)


async def test_limit_of_a_day_is_told_and_not_waited_for(x: LocalX, ada: XAccount, clock: Clock) -> None:
    tomorrow = START.replace(microsecond=0) + timedelta(days=1)
    headers = {"x-rate-limit-reset": "1793528000", "x-app-limit-24hour-reset": str(int(tomorrow.timestamp()))}
    x.break_with(Trouble("GET", "/tweets", reply=shapes.too_many(headers)))
    with pytest.raises(RateLimited, match="after 2026-11-02 10:00:00 UTC") as limited:
        await pages_of(x, clock)
    assert limited.value.until == tomorrow
    assert clock.waits == []


@pytest.mark.parametrize(
    "trouble",
    [
        {"reply": shapes.unavailable()},
        {"reply": shapes.web_page(502)},
        {"reply": shapes.web_page(200)},
        {"lose_answer": True},
        {"cut_after_bytes": 40},
    ],
)
async def test_bad_minute_is_passed_over_without_paying_twice(
    x: LocalX, ada: XAccount, clock: Clock, trouble: dict[str, object]
) -> None:
    publish(x, ada, 130)
    fault = Trouble("GET", "/tweets", times=3)
    for name, value in trouble.items():
        setattr(fault, name, value)
    x.break_with(fault)
    assert len(texts(await pages_of(x, clock))) == 130
    # aiohttp repeats a GET by itself once, where a connection that it kept turns out to be closed.
    assert {reason for _, reason in clock.waits} == {"Unclear"}
    assert x.world.spent() == 130 * READ


async def test_bad_day_ends_with_a_sentence(x: LocalX, ada: XAccount, clock: Clock) -> None:
    x.break_with(Trouble("GET", "/tweets", reply=shapes.unavailable(), times=99))
    with pytest.raises(Unclear, match=r"^X is out of order \(status 503\)\. Try again later\.$"):
        await pages_of(x, clock)
    assert len(x.journal) == clock.patience.tries


@pytest.mark.parametrize(
    ("trait", "message"),
    [
        ("gone", "There is no @ada_l on X."),
        ("suspended", "X has suspended @ada_l."),
    ],
)
async def test_account_that_is_not_there_gets_its_own_sentence(
    x: LocalX, ada: XAccount, clock: Clock, trait: str, message: str
) -> None:
    setattr(ada, trait, True)
    async with reader(x) as client:
        with pytest.raises(AccountUnreadable) as unreadable:
            await find_account(client, "ada_l", patience=clock.patience)
    assert unreadable.value.message == message
    assert x.world.spent() == 0


async def test_missing_account_may_be_told_by_404_as_well(x: LocalX, clock: Clock) -> None:
    told = Reply(404, shapes.missing("nobody").body, {"Content-Type": "application/problem+json"})
    x.break_with(Trouble("GET", "/2/users", reply=told))
    async with reader(x) as client:
        with pytest.raises(AccountUnreadable, match=r"There is no @nobody on X\."):
            await find_account(client, "nobody", patience=clock.patience)


async def test_protected_posts_are_told_and_not_paid(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 3)
    ada.protected = True
    with pytest.raises(AccountUnreadable, match=r"The posts of @Ada_L are protected\.") as unreadable:
        await pages_of(x, clock)
    assert unreadable.value.why == "protected"
    assert x.world.spent() == 0


async def test_protected_account_reads_itself(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 3)
    ada.protected, x.world.owner_id = True, ada.id
    made = x.keys_for(ada)
    keys = UserKeys(
        *map(SecretStr, (made.consumer_key, made.consumer_secret, made.access_token, made.access_token_secret))
    )
    async with XClient(x.url, user=keys) as client:
        account = await find_account(client, "Ada_L", patience=clock.patience)
        pages = [page async for page in collect(client, account, patience=clock.patience)]
    assert (account.is_protected, len(texts(pages))) == (True, 3)
    assert x.world.spent() == Decimal("0.010") + 3 * Decimal("0.001")


async def test_renamed_account_is_known_by_its_id(x: LocalX, ada: XAccount, clock: Clock) -> None:
    ada.handle = "ada_new"
    async with reader(x) as client:
        with pytest.raises(AccountUnreadable, match=r"@ada_l is called @ada_new on X now\.") as renamed:
            await find_account(client, "ada_l", known_id=ada.id, patience=clock.patience)
    assert renamed.value.new_handle == "ada_new"


@pytest.mark.parametrize("handle", ["", "@", "has space", "much_too_long_for_x", "ümlaut", "a/../b"])
async def test_what_is_no_handle_is_not_asked_for(x: LocalX, handle: str) -> None:
    async with reader(x) as client:
        with pytest.raises(AccountUnreadable, match="is no handle of X"):
            await find_account(client, handle)
    assert x.journal == []


async def test_used_up_credits_stop_after_the_pages_that_were_paid(x: LocalX, ada: XAccount, clock: Clock) -> None:
    publish(x, ada, 250)
    x.world.credits = 100 * READ
    (page,) = await pages_of(x, clock, stop_after=1)
    with pytest.raises(OutOfCredits, match="credits of X's API are used up"):
        await pages_of(x, clock, page.checkpoint)
    assert clock.waits == []


async def test_dead_token_stops_at_once(x: LocalX, ada: XAccount, clock: Clock) -> None:
    async with XClient(x.url, bearer=SecretStr("old")) as client:
        with pytest.raises(Refused, match="does not accept the token"):
            await find_account(client, "ada_l", patience=clock.patience)
    assert len(x.journal) == 1


def wire(n: int, **more: object) -> dict[str, object]:
    return {"id": str(1_000 - n), "text": f"post {n}", "created_at": "2026-11-01T10:00:00.000Z", **more}


LONG_CUT = "word " * 54 + "… https://t.co/abcdef"


@pytest.mark.parametrize(
    ("posts", "name"),
    [
        ([{"id": "1", "text": "undated"}], "created_at"),
        ([wire(n, in_reply_to_user_id="7") for n in range(3)], "referenced_tweets"),
        ([wire(n, text=f"RT @bob: {n}") for n in range(3)], "referenced_tweets"),
        ([wire(n, text=LONG_CUT) for n in range(3)], "note_tweet"),
    ],
)
async def test_field_that_never_comes_is_an_error(
    x: LocalX, ada: XAccount, clock: Clock, posts: list[dict[str, object]], name: str
) -> None:
    x.break_with(Trouble("GET", "/tweets", reply=shapes.as_json({"data": posts, "meta": {}})))
    with pytest.raises(Unreadable, match=f"does not send the field {name}"):
        await pages_of(x, clock)


async def test_newer_names_of_fields_are_read_as_well(x: LocalX, ada: XAccount, clock: Clock) -> None:
    posts = [
        wire(0, text=LONG_CUT, note_post={"text": "the whole"}, edit_history_post_ids=["1"]),
        wire(1, referenced_posts=[{"type": "quoted", "id": "5"}, {"type": "replied_to", "id": "6"}]),
    ]
    x.break_with(Trouble("GET", "/tweets", reply=shapes.as_json({"data": posts, "meta": {"result_count": 2}})))
    (page,) = await pages_of(x, clock)
    assert [(post.text, post.kind) for post in page.posts] == [("the whole", "post"), ("post 1", "reply")]


@pytest.mark.parametrize(
    "answer",
    [
        {"data": "nonsense"},
        {"data": [{"id": "not a number", "text": "x"}]},
        {"data": [wire(0, created_at="yesterday")]},
        {"data": [wire(0, created_at="2026-11-01T10:00:00")]},
        {"meta": {"next_token": 7}},
    ],
)
async def test_strange_answer_is_refused_without_repeating_it(
    x: LocalX, ada: XAccount, clock: Clock, answer: dict[str, object]
) -> None:
    x.break_with(Trouble("GET", "/tweets", reply=shapes.as_json(answer)))
    with pytest.raises(Unreadable, match=r"^X's answer is not what its documentation promises"):
        await pages_of(x, clock)


async def test_pages_without_end_are_left(x: LocalX, ada: XAccount, clock: Clock) -> None:
    same = shapes.as_json({"data": [wire(0)], "meta": {"next_token": "again"}})
    x.break_with(Trouble("GET", "/tweets", reply=same, times=99))
    with pytest.raises(Unreadable, match="the same page again and again"):
        await pages_of(x, clock)
    assert len(x.journal) == 2


async def test_blocks_nothing_and_shows_no_token(x: LocalX, ada: XAccount, clock: Clock) -> None:
    x.break_with(Trouble("GET", "/2/users", reply=shapes.not_permitted()))
    async with reader(x) as client:
        with pytest.raises(XError) as refused:
            await find_account(client, "ada_l", patience=clock.patience)
    assert x.door.app_token not in f"{refused.value!r} {refused.value}"
