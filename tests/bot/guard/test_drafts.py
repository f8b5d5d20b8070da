"""Drafts: a person decides, once, and what they choose is remembered without its words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlite_utils import Database

from bot.errors import CommandError, GuardError, NotFound
from storage import choices, discord, outbox
from storage.drafts import Approval, approval, first_state
from storage.outbox import Decided, decide
from tests.bot.guard.conftest import POSTS, Home

TEXT = "a calm evening with tea"


async def drafted(home: Home, text: str = TEXT, key: str = "1", target: str = "x") -> str:
    id = await home.store.run(
        decide,
        Decided(
            home.ada.id, None, None, target, text, home.now + timedelta(hours=1), key, "draft",
            expires_at=home.now + timedelta(days=3),
        ),
    )  # fmt: skip
    assert id is not None
    return id


async def test_approved_draft_is_due_and_says_who_decided(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home)
    assert [entry.post.id for entry in await home.drafts.waiting("@ada")] == [id]
    entry = await home.drafts.approve(id[-8:], "discord:1")
    assert (entry.post.state, entry.post.decided_by, entry.post.text) == ("due", "discord:1", TEXT)
    assert home.woken == [True]
    assert await home.drafts.waiting() == []
    with pytest.raises(CommandError, match="The post is due: it was decided on already"):
        await home.drafts.reject(id, "", "discord:2")


async def test_rejected_draft_never_leaves_and_keeps_the_reason(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home)
    entry = await home.drafts.reject(id, " not\nfunny ", "console")
    assert (entry.post.state, entry.post.reason) == ("rejected", "rejected: not funny")
    assert await home.store.run(choices.counts) == (1, 0)


async def test_edited_draft_passes_the_guard_or_stays_as_it_was(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home)
    for text in (POSTS[0], "hello @bea", " "):
        with pytest.raises(GuardError, match="That cannot be posted"):
            await home.drafts.edit(id, text, "console")
    assert (await home.store.run(outbox.get, id)).state == "draft"
    entry = await home.drafts.edit(id, f"{TEXT} and  rain", "console")
    assert (entry.post.state, entry.post.text) == ("due", f"{TEXT} and rain")
    assert await home.store.run(choices.counts) == (2, 1)


async def test_draft_for_discord_is_not_edited_into_what_is_never_said_there(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home, target="discord:5")
    await home.store.run(discord.set_blocked_words, home.ada.id, ["rain"])
    with pytest.raises(
        GuardError, match=r"That cannot be posted\. It has a word that its persona never says on Discord"
    ):
        await home.drafts.edit(id, f"{TEXT} and Rain", "discord:1")
    assert (await home.store.run(outbox.get, id)).state == "draft"


async def test_another_text_is_another_one(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home)
    home.voice.batches = [[TEXT, "ships, mostly, and a cloud"]]
    entry = await home.drafts.reroll(id, "console")
    assert (entry.post.state, entry.post.text) == ("draft", "ships, mostly, and a cloud")
    home.voice.batches = [[TEXT]] * home.settings.guard.rounds
    with pytest.raises(GuardError, match="No other text came out"):
        await home.drafts.reroll(id, "console")
    assert [move.detail for move in await home.store.run(outbox.history, id)] == ["decided", "written anew"]


async def test_all_are_approved_at_once(guarded_home: Home) -> None:
    home = guarded_home
    for number in range(3):
        await drafted(home, f"evening number {number}", str(number))
    assert len(await home.drafts.approve_all("console", "ada")) == 3
    assert await home.drafts.waiting() == []


async def test_expired_draft_cannot_be_approved(guarded_home: Home) -> None:
    home, id = guarded_home, await drafted(guarded_home)
    home.now += timedelta(days=4)
    with pytest.raises(CommandError, match="expired"):
        await home.drafts.approve(id, "console")


async def test_first_posts_are_looked_at_until_enough_are_approved(guarded_home: Home) -> None:
    home = guarded_home
    assert (await home.drafts.mode("ada")).approval.mode == "auto"
    found = await home.drafts.set_mode("ada", "review-first-n", 2)
    assert found.approval == Approval("review-first-n", 2, 72.0)
    for number, state in enumerate(["draft", "draft", "due"]):
        assert await home.store.run(_next_state, home.ada.id) == state
        if state == "draft":
            await home.drafts.approve(await drafted(home, f"evening {number}", str(number)), "console")
    with pytest.raises(CommandError):
        await home.drafts.set_mode("ada", "review-first-n", 0)
    with pytest.raises(NotFound):
        await home.drafts.mode("nobody")


async def test_reranker_needs_choices_of_both_kinds(guarded_home: Home) -> None:
    home = guarded_home
    with pytest.raises(CommandError, match="There are 0 approvals and 0 rejections"):
        await home.drafts.learn_reranker()


async def test_reranker_learns_a_taste_and_orders_by_it(guarded_home: Home) -> None:
    home = guarded_home
    for number in range(15):  # the twentieth choice has it learn by itself
        await home.drafts.approve(await drafted(home, f"tea {number}", f"a{number}"), "console")
        long = f"evening {number} with a very long story about the weather, the sea, {number} ships and more"
        await home.drafts.reject(await drafted(home, long, f"b{number}"), "too long", "console")
    shown = await home.drafts.reranker()
    assert (shown.choices, shown.approved) == (30, 15)
    assert shown.report is not None
    assert shown.report.choices == 20
    assert shown.report.used
    home.voice.batches = [["what a long, long story about the sea and about many other things", "short tea"]]
    spoken = await home.guarded.speak(home.ada)
    assert getattr(spoken, "text", None) == "short tea"


def _next_state(db: Database, persona_id: str) -> str:
    return first_state(db, persona_id, approval(db, persona_id) or Approval("auto"))
