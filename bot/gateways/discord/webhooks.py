"""A persona's own name and picture in a channel: a webhook each, and requests that are never repeated blindly.

discord.py sends a webhook's message again after any answer of 500 and more, and a webhook's message has no nonce by
which Discord would know it: said twice. So the request is ours, and what may have been said is not said again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import discord
from discord.http import Route

from bot.gateways.discord.lengths import cut
from bot.posting.sender import NotSent, Outcome, Sent, Unclear
from storage import discord as records
from storage.database import Store
from storage.discord import WebhookKey
from storage.personas import Persona

log = logging.getLogger(__name__)

ACTS_UNDER = " (Mynah)"
"""Ends the name of everybody who is imitated."""
NEUTRAL_NAME = "A persona" + ACTS_UNDER
LONGEST_NAME = 80

HasWebhooks = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel
Picture = Callable[[Persona], Awaitable[bytes | None]]
"""Makes or finds the round picture of a persona, as PNG."""

_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
_LONGEST_WAIT_S = 10.0
_TRIES = 3
_TOO_MANY_WEBHOOKS = (30007, 30058)
_GONE = (10015, 50027)
_FORM_WRONG = 50035


class Webhooks:
    """Those of one bot."""

    def __init__(self, client: discord.Client, store: Store, picture: Picture) -> None:
        self._client = client
        self._store = store
        self._picture = picture
        self._session: aiohttp.ClientSession | None = None
        self._making: dict[int, asyncio.Lock] = {}

    async def close(self) -> None:
        """Its connections."""
        if self._session is not None:
            await self._session.close()

    async def speak(self, channel: HasWebhooks, persona: Persona, text: str, thread_id: int | None = None) -> Outcome:
        """Say it as the persona, in the channel or a thread of it."""
        outcome: Outcome = NotSent("There is no webhook.")
        for _ in range(2):  # a second time only where somebody has deleted the webhook
            key = await self._key(channel, persona)
            if isinstance(key, NotSent):
                return key
            outcome = await self.execute(key, text, thread_id)
            known = await self._store.run(records.webhook_by_id, key.webhook_id)
            if not isinstance(outcome, NotSent) or known is not None:
                break
        return outcome

    async def execute(self, key: WebhookKey, text: str, thread_id: int | None = None) -> Outcome:
        """One message through a webhook; again only where Discord says that the one before was not taken."""
        url = f"{Route.BASE}/webhooks/{key.webhook_id}/{key.token}"
        query = {"wait": "true"} | ({} if thread_id is None else {"thread_id": str(thread_id)})
        body = {"content": text, "allowed_mentions": {"parse": []}}
        for _ in range(_TRIES):
            try:
                async with self._connections().post(url, params=query, json=body, allow_redirects=False) as answer:
                    status, said = answer.status, await _json(answer)
            except aiohttp.ClientConnectorError:
                return NotSent("Discord cannot be reached.")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return Unclear(f"Discord's answer was lost ({type(error).__name__}).")
            if status == 429 and (wait_s := _wait_s(said)) <= _LONGEST_WAIT_S:
                await asyncio.sleep(wait_s)
                continue
            return await self._outcome(key, status, said)
        return NotSent("Discord takes no more from this webhook at the moment.")

    async def read(self, key: WebhookKey, message_id: int) -> str | None:
        """What a message of the webhook says; the bot may not be shown it otherwise. None where it is not there."""
        url = f"{Route.BASE}/webhooks/{key.webhook_id}/{key.token}/messages/{message_id}"
        async with self._connections().get(url) as answer:
            said = await _json(answer)
            return str(said.get("content", "")) if answer.status == 200 else None

    async def clear_away(self) -> None:
        """Delete, on Discord too, the webhooks of personas that were deleted here."""
        for key in await self._store.run(records.orphaned_webhooks):
            await self._delete(key)

    async def _outcome(self, key: WebhookKey, status: int, said: dict[str, Any]) -> Outcome:
        if 200 <= status < 300:
            await self._store.run(records.webhook_used, key.webhook_id)
            return Sent(str(said["id"]) if "id" in said else None)
        if status >= 500 or 300 <= status < 400:
            return Unclear(f"Discord answered {status}.")
        if status == 429:
            until = datetime.now(UTC) + timedelta(seconds=_wait_s(said))
            return NotSent("Discord takes no more from this webhook at the moment.", until=until)
        if said.get("code") in _GONE:
            # Asking again for one that is not there counts towards a ban of this machine's address.
            await self._store.run(records.forget_webhook, key.webhook_id)
            return NotSent("The webhook was deleted.")
        return NotSent(f"Discord refused it ({status}, {said.get('code', 0)}).", is_final=True)

    async def _key(self, channel: HasWebhooks, persona: Persona) -> WebhookKey | NotSent:
        async with self._making.setdefault(channel.id, asyncio.Lock()):
            known = await self._store.run(records.webhook, channel.id, persona.id)
            if known is not None and known.look == _look(persona):
                return known
            try:
                made = await self._make(channel, persona)
            except discord.Forbidden:
                return NotSent("The bot may not manage webhooks in this channel.", "Allow it: Manage Webhooks.")
            except discord.NotFound:
                return NotSent("The channel is gone.", is_final=True)
            except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("A webhook could not be made: %s.", type(error).__name__)
                return NotSent("Discord made no webhook.", "Try again in a moment.")
            if known is not None:
                await self._delete(known)
            await self._store.run(records.keep_webhook, made)
            return made

    async def _make(self, channel: HasWebhooks, persona: Persona) -> WebhookKey:
        avatar, name = await self._picture(persona), webhook_name(persona)
        try:
            made = await channel.create_webhook(name=name, avatar=avatar, reason="a persona speaks here")
        except discord.HTTPException as error:
            if error.code in _TOO_MANY_WEBHOOKS:
                idlest = await self._store.run(records.idlest_webhook, channel.id)
                if idlest is None:
                    raise
                await self._delete(idlest)
            elif error.code == _FORM_WRONG and name != NEUTRAL_NAME:
                name = NEUTRAL_NAME  # Discord has hidden rules for names
            else:
                raise
            made = await channel.create_webhook(name=name, avatar=avatar, reason="a persona speaks here")
        assert made.token is not None
        return WebhookKey(channel.id, persona.id, made.id, made.token, _look(persona))

    async def _delete(self, key: WebhookKey) -> None:
        try:
            await discord.Webhook.partial(key.webhook_id, key.token, client=self._client).delete()
        except discord.NotFound:
            pass
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("A webhook could not be deleted: %s.", type(error).__name__)
            return
        await self._store.run(records.forget_webhook, key.webhook_id)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self._session


def webhook_name(persona: Persona) -> str:
    """Whom a webhook shows: the person's name, as far as Discord allows it, and that it is not them."""
    for name in (persona.display_name, persona.handle):
        shown = " ".join(name.split())
        if shown and not any(word in shown.lower() for word in ("clyde", "discord")):
            return cut(shown, LONGEST_NAME - len(ACTS_UNDER)) + ACTS_UNDER
    return NEUTRAL_NAME


def _look(persona: Persona) -> str:
    return hashlib.blake2b(webhook_name(persona).encode(), digest_size=8).hexdigest()


def _wait_s(said: dict[str, Any]) -> float:
    try:
        return max(0.0, float(said.get("retry_after", _LONGEST_WAIT_S + 1)))
    except (TypeError, ValueError):
        return _LONGEST_WAIT_S + 1


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        said = await answer.json(content_type=None)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
