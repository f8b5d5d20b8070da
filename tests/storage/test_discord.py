"""What is known of messages, webhooks and channels on Discord, and how it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from storage import discord, personas
from storage.clones import Clone
from storage.discord import Binding, WebhookKey
from storage.personas import Persona

NOW = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)


def test_a_clone_is_told_of_in_one_message_until_all_is_said(fresh_db: Database, clone: Clone) -> None:
    discord.begin_progress(fresh_db, clone.id, 10)
    discord.begin_progress(fresh_db, clone.id, 99)
    (told,) = discord.untold_progress(fresh_db)
    assert (told.channel_id, told.message_id, told.told) == (10, None, False)
    discord.progress_sent(fresh_db, clone.id, 77)
    discord.progress_told(fresh_db, clone.id)
    assert discord.untold_progress(fresh_db) == []
    known = discord.progress(fresh_db, clone.id)
    assert known is not None and (known.message_id, known.told) == (77, True)


def test_messages_and_webhooks_of_who_was_erased_are_found_and_hold_no_name(
    fresh_db: Database, clone: Clone, ada: Persona
) -> None:
    discord.begin_progress(fresh_db, clone.id, 10)
    key = WebhookKey(10, ada.id, 3, "secret", "look")
    discord.keep_webhook(fresh_db, key)
    assert (discord.orphaned_progress(fresh_db), discord.orphaned_webhooks(fresh_db)) == ([], [])
    personas.erase(fresh_db, ada.id)
    assert [message.clone_id for message in discord.orphaned_progress(fresh_db)] == [clone.id]
    assert discord.orphaned_webhooks(fresh_db) == [key]
    discord.forget_webhook(fresh_db, 3)
    discord.forget_progress(fresh_db, clone.id)
    assert (discord.orphaned_progress(fresh_db), discord.orphaned_webhooks(fresh_db)) == ([], [])


def test_a_persona_has_one_webhook_in_a_channel_and_the_idlest_is_known(fresh_db: Database, ada: Persona) -> None:
    other = personas.ensure(fresh_db, "bea")
    for key in (WebhookKey(10, ada.id, 1, "t", "a"), WebhookKey(10, other.id, 2, "t", "a")):
        discord.keep_webhook(fresh_db, key)
    discord.keep_webhook(fresh_db, newer := WebhookKey(10, ada.id, 3, "t", "b"))
    assert discord.webhook(fresh_db, 10, ada.id) == newer
    assert discord.webhook_by_id(fresh_db, 1) is None
    assert discord.idlest_webhook(fresh_db, 10) == WebhookKey(10, other.id, 2, "t", "a")
    discord.webhook_used(fresh_db, 2)
    assert discord.idlest_webhook(fresh_db, 10) == newer


def test_who_said_a_message_is_known_for_a_month(fresh_db: Database, ada: Persona) -> None:
    discord.spoken(fresh_db, 5, ada.id, NOW)
    assert discord.speaker_of(fresh_db, 5) == ada.id
    discord.spoken(fresh_db, 6, ada.id, NOW + discord.SPOKEN_KEPT + timedelta(seconds=1))
    assert (discord.speaker_of(fresh_db, 5), discord.speaker_of(fresh_db, 6)) == (None, ada.id)


def test_another_persona_that_moves_in_does_not_chime(fresh_db: Database, ada: Persona) -> None:
    bea = personas.ensure(fresh_db, "bea")
    discord.bind(fresh_db, 10, 20, ada.id)
    discord.set_chime(fresh_db, 10, 0.25, "23:00", "07:00")
    assert discord.binding(fresh_db, 10) == Binding(10, 20, ada.id, 0.25, "23:00", "07:00")
    discord.bind(fresh_db, 10, 20, bea.id)
    assert discord.binding(fresh_db, 10) == Binding(10, 20, bea.id, 0.0, None, None)
    assert discord.unbind(fresh_db, 10) and not discord.unbind(fresh_db, 10)


@pytest.mark.parametrize("way", ["channel", "guild", "persona"])
def test_what_is_bound_goes_with_channel_guild_and_persona(fresh_db: Database, ada: Persona, way: str) -> None:
    discord.bind(fresh_db, 10, 20, ada.id)
    match way:
        case "channel":
            discord.forget_channel(fresh_db, 10)
        case "guild":
            discord.forget_guild(fresh_db, 20)
        case "persona":
            personas.erase(fresh_db, ada.id)
    assert discord.binding(fresh_db, 10) is None


def test_blocked_words_are_kept_folded_once_and_go_with_the_persona(fresh_db: Database, ada: Persona) -> None:
    assert discord.set_blocked_words(fresh_db, ada.id, [" Sea ", "sea", "", "Straße"]) == ("sea", "strasse")
    assert discord.blocked_words(fresh_db, ada.id) == ("sea", "strasse")
    assert discord.set_blocked_words(fresh_db, ada.id, []) == ()
    assert discord.blocked_words(fresh_db, ada.id) == ()
