"""What a persona says reaches a channel: once, under its name where that can be, and marked as an imitation.

A webhook is taken where the bot may have one; else the bot says it itself, with a nonce that Discord knows again.
Nothing that may have been said is said a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import discord

from bot.gateways.discord.lengths import MESSAGE, cut, split, units
from bot.gateways.discord.webhooks import HasWebhooks, Webhooks
from bot.posting.sender import NotSent, Outcome, Sent, Unclear
from bot.settings.speaking import Speaking
from storage import discord as records
from storage.database import Store
from storage.personas import Persona

Place = (
    discord.TextChannel
    | discord.VoiceChannel
    | discord.StageChannel
    | discord.Thread
    | discord.DMChannel
    | discord.GroupChannel
    | discord.PartialMessageable
)
"""Where something can be written."""

_NO_PINGS = discord.AllowedMentions.none()


@dataclass(frozen=True, slots=True)
class Speech:
    """What a persona says; `nonce` makes it this and no other, and has at most 22 characters."""

    persona: Persona
    text: str
    nonce: str
    answers: discord.Message | None = None


class Delivery:
    """Of one bot."""

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    async def speak(self, place: Place, speech: Speech, settings: Speaking) -> Outcome:
        """Say it; in two messages or more where it is long, the first of which decides what became of it."""
        pieces = _marked(speech.persona, speech.text, settings.most_messages)
        first: Outcome | None = None
        for number, piece in enumerate(pieces):
            outcome = await self._say(place, speech, piece, f"{speech.nonce}.{number}", settings)
            first = first or outcome
            if not isinstance(outcome, Sent):
                break
            if outcome.platform_id is not None:
                await self._store.run(records.spoken, int(outcome.platform_id), speech.persona.id, datetime.now(UTC))
        return first or NotSent("There is nothing to say.", is_final=True)

    async def _say(self, place: Place, speech: Speech, text: str, nonce: str, settings: Speaking) -> Outcome:
        if settings.webhooks:
            outcome = await self._by_webhook(place, speech.persona, text)
            if not isinstance(outcome, NotSent) or outcome.until is not None:
                return outcome
        return await self._by_bot(place, speech, text, nonce)

    async def _by_webhook(self, place: Place, persona: Persona, text: str) -> Outcome:
        if isinstance(place, discord.Thread):
            if isinstance(place.parent, HasWebhooks):
                return await self._webhooks.speak(place.parent, persona, text, place.id)
        elif isinstance(place, HasWebhooks):
            return await self._webhooks.speak(place, persona, text)
        return NotSent("There are no webhooks here.")

    async def _by_bot(self, place: Place, speech: Speech, text: str, nonce: str) -> Outcome:
        reference = None
        if speech.answers is not None:
            reference = speech.answers.to_reference(fail_if_not_exists=False)
        outcome = await _send(place, text, nonce, reference)
        if isinstance(outcome, _CannotReply):
            outcome = await _send(place, text, nonce, None)
        elif isinstance(outcome, Unclear):
            outcome = await _send(place, text, nonce, reference)  # the same nonce is the same message
        return outcome


class _CannotReply(NotSent):
    """Without the right to read what was said before."""


async def _send(place: Place, text: str, nonce: str, reference: discord.MessageReference | None) -> Outcome:
    """discord.py asks Discord to know the nonce again, so its own repeats say nothing twice either."""
    try:
        if reference is None:
            said = await place.send(text, nonce=nonce, allowed_mentions=_NO_PINGS)
        else:
            said = await place.send(
                text, nonce=nonce, allowed_mentions=_NO_PINGS, reference=reference, mention_author=False
            )
        return Sent(str(said.id))
    except discord.RateLimited:
        return NotSent("Discord takes no more messages at the moment.")
    except discord.DiscordServerError as error:
        return Unclear(f"Discord answered {error.status}.")
    except discord.HTTPException as error:
        return _refused(error)
    except aiohttp.ClientConnectorError:
        return NotSent("Discord cannot be reached.")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Unclear(f"Discord's answer was lost ({type(error).__name__}).")


def _marked(persona: Persona, text: str, most: int) -> list[str]:
    """In messages, the last of which says whom a bot imitates."""
    note = footer(persona)
    pieces = split(text, MESSAGE - units(note), most)
    return [*pieces[:-1], pieces[-1] + note] if pieces else []


def footer(persona: Persona) -> str:
    """Small print, as Discord's Markdown has it."""
    return f"\n-# a bot imitating {discord.utils.escape_markdown('@' + cut(persona.handle, 64))}"


def without_footer(text: str) -> str:
    """What was said, of a message of ours."""
    return text.split("\n-# a bot imitating ", 1)[0]


def _refused(error: discord.HTTPException) -> NotSent:
    if error.code == 160002:
        return _CannotReply("The bot may not read what was said before.")
    if error.status == 429:
        return NotSent("Discord takes no more messages at the moment.")
    if isinstance(error, discord.Forbidden):
        return NotSent("The bot may not write there.", "Let it see the channel and send messages.", is_final=True)
    if isinstance(error, discord.NotFound):
        return NotSent("The channel is gone.", is_final=True)
    return NotSent(f"Discord refused it ({error.status}, {error.code}).", is_final=True)
