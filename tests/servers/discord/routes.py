"""What the files of routes share: a call as it came in, and a route with what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.discord.ratelimits import RateLimits
from tests.servers.discord.things import DiscordError, Json
from tests.servers.discord.world import World

Body = Json | list[Json] | None


@dataclass(frozen=True)
class Upload:
    filename: str
    content: bytes


@dataclass(frozen=True)
class Call:
    """A request that has passed the checks."""

    world: World
    limits: RateLimits
    ids: Mapping[str, str]
    """From the path."""
    query: Mapping[str, str]
    body: Any = None
    files: Mapping[str, Upload] = field(default_factory=dict)
    """By their number, as `attachments` names them."""

    @property
    def form(self) -> Json:
        return self.body or {}


@dataclass(frozen=True)
class Answer:
    body: Body = None
    status: int = 200


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    """As the OpenAPI description writes it."""
    answer: Callable[[Call], Answer]
    needs_bot: bool = True
    """Whether the bot's token must come along; webhooks and interactions carry their own in the path."""

    def match(self, path: str) -> dict[str, str] | None:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.template))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


NOTHING = Answer(None, 204)


def need(call: Call, channel_id: str, *bits: int) -> None:
    """Raises: DiscordError where the bot may not do that in the channel."""
    channel = call.world.channel(channel_id)
    held = call.world.bot_permissions(channel)
    if not held & (1 << 10):
        raise DiscordError(403, 50001, "Missing Access")
    if any(not held & bit for bit in bits):
        raise DiscordError(403, 50013, "Missing Permissions")
