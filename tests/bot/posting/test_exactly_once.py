"""A post is published once, whatever happens on the way; where that can't be known, a person is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage import outbox, personas, sending, switches
from tests.bot.posting.desk import Desk
from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Reply
from tests.servers.x import LocalX, Trouble
from tests.servers.x_clock import START, Clock
from tests.servers.x_world import XPost

MINUTE = timedelta(minutes=1)


def trouble(**how: object) -> Trouble:
    return Trouble("POST", "/2/tweets", **how)  # type: ignore[arg-type]


async def history(desk: Desk, id: str) -> list[str]:
    return [move.to_state for move in await desk.store.run(outbox.history, id)]


async def test_due_post_is_sent_at_its_time(desk: Desk) -> None:
    id = await desk.decide("hello", START + 10 * MINUTE)
    await desk.work(9 * MINUTE)
    assert desk.published == []
    await desk.work(MINUTE)
    post = await desk.get(id)
    assert desk.published == ["hello"]
    assert (post.state, post.platform_id, post.attempts) == ("sent", desk.x.posted[0].id, 1)
    assert await history(desk, id) == ["due", "claimed", "sent"]


async def test_key_that_is_known_decides_nothing(desk: Desk) -> None:
    persona = await desk.store.run(personas.ensure, "ada")
    posts = [outbox.Decided(persona.id, None, "s1", "x", text, START, "s1@10:00") for text in ("one", "two")]
    assert [await desk.store.run(outbox.decide, post) is not None for post in posts] == [True, False]
    await desk.work()
    assert desk.published == ["one"]


@pytest.mark.parametrize(
    "lost",
    [
        trouble(lose_answer=True),
        trouble(reply=shapes.unavailable(), done_first=True),
        trouble(reply=shapes.web_page(), done_first=True),
        trouble(reply=shapes.web_page(200), done_first=True),
        trouble(reply=shapes.moved("/2/tweets"), done_first=True),
        trouble(reply=shapes.as_json({"data": {}}, 201), done_first=True),
    ],
    ids=["cut after posting", "503 after posting", "HTML with 503", "HTML with 200", "308", "no id"],
)
async def test_published_without_an_answer_is_found_and_not_sent_again(desk: Desk, lost: Trouble) -> None:
    desk.x.break_with(lost)
    id = await desk.decide("a < b & c: https://example.org/x?y=1&z and example.com/ é")
    await desk.work()
    post = await desk.get(id)
    assert (post.state, post.platform_id, len(desk.published)) == ("sent", desk.x.posted[0].id, 1)
    assert await history(desk, id) == ["due", "claimed", "uncertain", "sent"]
    assert len(desk.x.asked("POST", "/2/tweets")) == 1


async def test_slow_answer_is_given_up_and_looked_for(desk: Desk, x: LocalX, clock: Clock) -> None:
    desk.sender.client._timeout = desk.sender.client.session._timeout = type(desk.sender.client._timeout)(total=0.2)
    x.break_with(trouble(delay_s=0.6))
    id = await desk.decide("slow")
    await desk.lane.step()
    assert (await desk.get(id)).state == "uncertain"
    while not desk.published:
        pass
    await desk.work()
    assert ((await desk.get(id)).state, desk.published) == ("sent", ["slow"])


async def test_new_post_that_shows_late_is_found_by_a_later_look(desk: Desk) -> None:
    desk.x.read_lag = 7 * MINUTE
    desk.x.break_with(trouble(lose_answer=True))
    id = await desk.decide("late to show")
    await desk.work()
    assert (await desk.get(id)).state == "sent"
    assert len(desk.x.asked("GET", "/tweets")) == 1 + 4  # before the first post ever, and four looks


@pytest.mark.parametrize(
    "lost", [trouble(cut_after_bytes=10), trouble(reply=shapes.unavailable())], ids=["cut before posting", "503"]
)
async def test_what_is_not_found_is_asked_and_not_sent(desk: Desk, lost: Trouble) -> None:
    desk.x.break_with(lost)
    id = await desk.decide("lost?")
    await desk.work(timedelta(days=2))
    assert ((await desk.get(id)).state, desk.published) == ("asked", [])
    (notice,) = await desk.notices.unseen()
    assert notice.kind == "asked"
    assert id in notice.message


async def test_person_has_it_sent_again(desk: Desk) -> None:
    desk.x.break_with(trouble(cut_after_bytes=10))
    id = await desk.decide("lost")
    await desk.work()
    await desk.store.run(outbox.move, id, "due", "resend", desk.clock.time, by="console")
    await desk.work()
    assert ((await desk.get(id)).state, desk.published) == ("sent", ["lost"])


async def test_duplicate_proves_what_looks_did_not_find(desk: Desk) -> None:
    desk.x.read_lag = timedelta(hours=1)
    desk.x.break_with(trouble(lose_answer=True))
    id = await desk.decide("there after all")
    await desk.work(20 * MINUTE)
    assert (await desk.get(id)).state == "asked"
    await desk.store.run(outbox.move, id, "due", "resend", desk.clock.time)
    await desk.work(20 * MINUTE)
    post = await desk.get(id)
    assert (post.state, post.platform_id, len(desk.published)) == ("sent", None, 1)


async def test_duplicate_of_what_was_posted_by_hand_fails(desk: Desk) -> None:
    desk.x.world.publish(desk.account, "said before")
    desk.clock.time += MINUTE
    id = await desk.decide("said before")
    await desk.work()
    post = await desk.get(id)
    assert (post.state, desk.published) == ("failed", [])
    assert "same text" in post.reason


async def test_same_text_is_not_published_twice(desk: Desk) -> None:
    desk.x.duplicate_window = timedelta()
    desk.x.break_with(trouble(lose_answer=True))
    ids = [await desk.decide("again", key=str(n)) for n in range(2)]
    await desk.work()
    assert [(await desk.get(id)).state for id in ids] == ["sent", "skipped"]
    assert desk.published == ["again"]


async def test_deletion_by_hand_of_the_newest_known_post_loses_nothing(desk: Desk) -> None:
    await desk.decide("first")
    await desk.work()
    desk.x.delete_by_hand(desk.x.posted[0])
    desk.x.break_with(trouble(lose_answer=True))
    id = await desk.decide("second")
    await desk.work()
    assert ((await desk.get(id)).state, desk.published) == ("sent", ["first", "second"])


async def test_uncertain_post_that_was_edited_by_hand_is_asked_about(desk: Desk) -> None:
    desk.x.break_with(trouble(lose_answer=True))
    id = await desk.decide("with a tpyo")
    await desk.lane.step()
    desk.x.world.edit(desk.x.posted[0], "with a typo")
    await desk.work()
    assert ((await desk.get(id)).state, len(desk.published)) == ("asked", 1)


async def test_what_a_dead_process_had_claimed_is_looked_for(desk: Desk) -> None:
    ids = [await desk.decide(text) for text in ("posted, then killed", "killed before")]
    await desk.store.run(sending.know_newest, "x", "0", desk.clock.time)
    for id in ids:
        await desk.store.run(sending.claim, id, desk.clock.time)
    post: XPost = desk.x.world.publish(desk.account, "posted, then killed")
    assert await desk.store.run(sending.recover, desk.clock.time, desk.clock.time) == 2
    await desk.work()
    assert [(await desk.get(id)).state for id in ids] == ["sent", "asked"]
    assert (await desk.get(ids[0])).platform_id == post.id


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (shapes.unauthorized(), "token"),
        (shapes.credits_depleted(), "credits"),
        (shapes.not_permitted(), "permit"),
        (shapes.problem(403, "Forbidden", "Your account is suspended and is not permitted to post."), "suspended"),
        (shapes.usage_capped(), "cap"),
        (Reply(404), "address"),
    ],
    ids=["401", "402", "403", "suspended", "capped", "404"],
)
async def test_refused_account_stops_posting_until_a_person_resumes(desk: Desk, answer: Reply, reason: str) -> None:
    desk.x.break_with(trouble(reply=answer))
    ids = [await desk.decide(text) for text in ("one", "two")]
    await desk.work(timedelta(hours=2))
    assert len(desk.x.asked("POST", "/2/tweets")) == 1
    halt = await desk.store.run(switches.get, "halt:x")
    (notice,) = await desk.notices.unseen()
    assert halt is not None
    assert (notice.kind, reason in halt.reason) == ("halt", True)
    assert [(await desk.get(id)).state for id in ids] == ["due", "due"]
    await desk.store.run(switches.clear, "halt:x")
    await desk.work()
    assert desk.published == ["one", "two"]


@pytest.mark.parametrize("answer", [shapes.too_long(), shapes.not_summoned()], ids=["too long", "not summoned"])
async def test_refused_post_fails_and_others_go_on(desk: Desk, answer: Reply) -> None:
    desk.x.break_with(trouble(reply=answer))
    ids = [await desk.decide(text) for text in ("one", "two")]
    await desk.work()
    assert [(await desk.get(id)).state for id in ids] == ["failed", "sent"]


async def test_limit_is_waited_for_until_the_latest_reset(desk: Desk) -> None:
    desk.x.posts_a_day = 1
    ids = [await desk.decide(text) for text in ("one", "two")]
    desk.rules = type(desk.rules)(late=timedelta(days=3))
    await desk.work(timedelta(hours=23))
    assert len(desk.x.asked("POST", "/2/tweets")) == 2
    await desk.work(timedelta(hours=2))
    assert [(await desk.get(id)).state for id in ids] == ["sent", "sent"]


async def test_limit_without_a_reset_is_asked_ever_more_slowly(desk: Desk) -> None:
    desk.x.break_with(trouble(reply=shapes.too_many(), times=6))
    id = await desk.decide("patience")
    await desk.work(timedelta(hours=1))
    assert ((await desk.get(id)).state, (await desk.get(id)).attempts) == ("sent", 7)


async def test_late_post_is_skipped_with_the_last_reason(desk: Desk) -> None:
    desk.x.break_with(trouble(reply=shapes.too_many(), times=1000))
    id = await desk.decide("too late")
    await desk.work(timedelta(hours=7))
    post = await desk.get(id)
    assert post.state == "skipped"
    assert "asked too often" in post.reason


async def test_posts_beyond_the_days_limit_are_skipped(desk: Desk) -> None:
    desk.rules = type(desk.rules)(posts_a_day=2)
    ids = [await desk.decide(str(n)) for n in range(3)]
    await desk.work()
    desk.clock.time += timedelta(hours=24)
    ids.append(await desk.decide("next day"))
    await desk.work()
    assert [(await desk.get(id)).state for id in ids] == ["sent", "sent", "skipped", "sent"]


async def test_nothing_is_sent_while_paused(desk: Desk) -> None:
    await desk.store.run(switches.set, switches.PAUSE, "holidays", "console", desk.clock.time)
    soon, late = await desk.decide("soon"), await desk.decide("late", START - timedelta(hours=5))
    await desk.work(timedelta(hours=5))
    assert (desk.published, (await desk.get(soon)).state) == ([], "due")
    await desk.store.run(switches.clear, switches.PAUSE)
    await desk.work()
    assert desk.published == ["soon", "late"] or desk.published == ["late", "soon"]
    assert (await desk.get(late)).state == "sent"


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)], ids=["back", "forward"])
async def test_clock_that_jumps_doubles_nothing(desk: Desk, jump: timedelta) -> None:
    desk.x.duplicate_window = timedelta()
    desk.x.break_with(trouble(lose_answer=True))
    ids = [await desk.decide("before"), await desk.decide("sent before")]
    await desk.work(timedelta(seconds=5))
    real, desk.x.clock = desk.clock.time, lambda: real + MINUTE * 30
    desk.x.world.clock = desk.x.clock
    desk.clock.time += jump
    await desk.work()
    assert [(await desk.get(id)).state for id in ids] == ["sent", "sent"]
    assert sorted(desk.published) == ["before", "sent before"]
