"""Only what may leave is heard; the rest is written anew, within a limit, and counted."""

from __future__ import annotations

import pytest
from sqlite_utils import Database

from bot.errors import GuardError, VoiceError
from bot.guard import Rejected, Spoken
from bot.guard.author import GuardedAuthor
from bot.schedules.runner import Refused, Written
from storage import choices, discord
from tests.bot.guard.conftest import POSTS, Home

FINE = "a calm evening with tea"


async def test_copy_is_replaced_by_what_comes_next(guarded_home: Home) -> None:
    home = guarded_home
    home.voice.batches = [[POSTS[0], "hello @bea"], [FINE]]
    spoken = await home.guarded.speak(home.ada, seed=7)
    assert isinstance(spoken, Spoken)
    assert (spoken.text, spoken.version, spoken.seed) == (FINE, 1, 7)
    assert home.voice.seeds == [7, 1007]
    assert await home.store.run(choices.refusals, home.ada.id) == {"copy": 1, "mention": 1}


async def test_nothing_is_said_where_everything_is_refused(guarded_home: Home) -> None:
    home = guarded_home
    home.voice.batches = [[POSTS[0], POSTS[1], "so #blessed"]] * home.settings.guard.rounds
    rejected = await home.guarded.speak(home.ada)
    assert isinstance(rejected, Rejected)
    assert rejected.reasons == (("copy", 8), ("hashtag", 4))
    assert rejected.reason.startswith("None of 12 texts may leave: copy (8), hashtag (4). It is somebody's post")
    assert POSTS[0] not in rejected.reason


async def test_nothing_leaves_where_the_index_cannot_be_read(guarded_home: Home) -> None:
    home = guarded_home
    await home.store.run(_break_index)
    verdict = await home.guard.check(FINE, home.ada)
    assert (verdict.ok, verdict.reason) == (False, "cannot tell")
    home.voice.batches = [[FINE]] * home.settings.guard.rounds
    assert isinstance(await home.guarded.speak(home.ada), Rejected)
    home.voice.batches = [[FINE]]
    with pytest.raises(GuardError, match="Nothing can be said now"):
        await home.guarded.say(home.ready, "", 1, 1)


async def test_saying_replaces_copies_and_says_the_same_for_the_same_seed(guarded_home: Home) -> None:
    home = guarded_home
    for _ in range(2):
        home.voice.batches = [["one more @bea #tea", POSTS[0], FINE], ["ships, mostly"]]
        assert await home.guarded.say(home.ready, "", 3, 5) == ["one more @bea #tea", FINE, "ships, mostly"]
    assert home.voice.seeds == [5, 1005] * 2


async def test_each_text_is_heard_once_and_as_soon_as_it_has_passed(guarded_home: Home) -> None:
    home = guarded_home
    heard: list[str] = []
    home.voice.batches = [["one more @bea #tea", POSTS[0], FINE], ["ships, mostly"]]
    said = await home.guarded.say(
        home.ready, "", 3, 5, heard=lambda text: heard.append(f"{len(home.voice.seeds)} {text}")
    )
    assert heard == ["1 one more @bea #tea", f"1 {FINE}", "2 ships, mostly"]
    assert said == [text[2:] for text in heard]


async def test_what_was_heard_stays_said_when_the_voice_breaks_off(guarded_home: Home) -> None:
    home = guarded_home
    home.voice.batches = [[FINE, POSTS[0]], VoiceError("It did not answer.", "Ask again.")]
    assert await home.guarded.say(home.ready, "", 2, 1) == [FINE]
    home.voice.batches = [[POSTS[0]], VoiceError("It did not answer.", "Ask again.")]
    with pytest.raises(VoiceError):
        await home.guarded.say(home.ready, "", 1, 1)


async def test_saying_nothing_but_copies_is_an_error(guarded_home: Home) -> None:
    home = guarded_home
    home.voice.batches = [[POSTS[0]]] * home.settings.guard.rounds
    with pytest.raises(GuardError, match=r"All 4 texts that @ada came up with are somebody's posts already"):
        await home.guarded.say(home.ready, "", 1, 1)


async def test_author_of_schedules_writes_drafts_where_somebody_looks_first(guarded_home: Home) -> None:
    home = guarded_home
    author = GuardedAuthor(home.settings, home.store, home.guarded)
    home.voice.batches = [[FINE], [FINE], *[[POSTS[0]]] * home.settings.guard.rounds]
    assert isinstance(by_itself := await author.write(home.ada, "", "x", home.now), Written)
    assert (by_itself.state, by_itself.expires_at) == ("due", None)
    await home.drafts.set_mode("ada", "review")
    assert isinstance(looked_at := await author.write(home.ada, "", "x", home.now), Written)
    assert looked_at.state == "draft"
    assert looked_at.expires_at is not None
    assert isinstance(await author.write(home.ada, "", "x", home.now), Refused)


@pytest.mark.parametrize(
    ("target", "written"), [("discord:5", FINE), ("webhook:5", FINE), ("x", "tea, and more tea"), ("discord:5", None)]
)
async def test_unsaid_words_stop_posts_to_discord_alone(guarded_home: Home, target: str, written: str | None) -> None:
    home = guarded_home
    await home.store.run(discord.set_blocked_words, home.ada.id, ["more tea"])
    home.voice.batches = [["tea, and more tea"], [FINE]] if written else [["More  tea"]] * home.settings.guard.rounds
    by_schedule = await GuardedAuthor(home.settings, home.store, home.guarded).write(home.ada, "", target, home.now)
    if written is None:
        assert isinstance(by_schedule, Refused) and "unsaid word (4)" in by_schedule.reason
    else:
        assert isinstance(by_schedule, Written) and by_schedule.text == written


def _break_index(db: Database) -> None:
    db.execute("drop table word_runs")


async def test_what_is_answered_is_heard_again_where_another_text_is_written(guarded_home: Home) -> None:
    home = guarded_home
    home.voice.batches = [["hello @bea"], [FINE]]
    author = GuardedAuthor(home.settings, home.store, home.guarded)
    assert isinstance(await author.write(home.ada, "", "x", home.now, ("what of the sea?",)), Written)
    assert home.voice.heard == [("what of the sea?",), ("what of the sea?",)]
