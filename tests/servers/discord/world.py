"""The state of the local Discord, shared by its REST side, its gateway and the test that plays the members."""

from __future__ import annotations

import mimetypes
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.servers.discord import payloads
from tests.servers.discord.clock import Clock, Snowflakes
from tests.servers.discord.things import (
    DM,
    EVERYONE,
    TEXT,
    THREAD,
    WHAT_MYNAH_ASKS,
    Attachment,
    Channel,
    DiscordError,
    Guild,
    Interaction,
    Json,
    Message,
    Role,
    User,
    Webhook,
)

T = TypeVar("T")

DAY_S = 86_400.0
GUILDS, GUILD_MEMBERS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1, 1 << 1, 1 << 9, 1 << 12, 1 << 15
GUILD_PRESENCES, GUILD_WEBHOOKS, GUILD_MESSAGE_TYPING = 1 << 8, 1 << 5, 1 << 11
FLAG_OF_INTENT = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}
"""Of the application, for each privileged intent, in an application below the threshold of verification."""


@dataclass(frozen=True)
class Event:
    """A dispatch of the gateway; a session hears it that has asked for its intent."""

    name: str
    data: Json
    intent: int = 0
    message: Message | None = None
    """Whose content a session without that intent does not see."""


@dataclass
class World:
    """Change it only with `changed` held; `tell` and its callers do."""

    token: str = "local-bot-token"
    clock: Clock = field(default_factory=Clock)
    base_url: str = ""
    privileged: int = GUILD_MEMBERS | MESSAGE_CONTENT
    """The intents that the owner switched on in the portal."""
    guilds: dict[str, Guild] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)
    """The global ones."""
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    interactions: dict[str, Interaction] = field(default_factory=dict)
    """By their tokens."""
    files: dict[str, Attachment] = field(default_factory=dict)
    nonces: dict[tuple[str, str | int], Message] = field(default_factory=dict)
    """Of authors."""
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    listener: Callable[[Event], None] = lambda event: None

    def __post_init__(self) -> None:
        self.ids = Snowflakes(self.clock)
        self.owner = self.add_user("operator")
        self.bot = self.add_user("Mynah", bot=True)
        self.application_id = self.bot.id

    @property
    def application_flags(self) -> int:
        return sum(flag for intent, flag in FLAG_OF_INTENT.items() if self.privileged & intent)

    # --- what exists

    def add_user(self, name: str, *, bot: bool = False) -> User:
        with self.changed:
            who = User(self.ids.next(), name, bot)
            self.users[who.id] = who
            return who

    def add_guild(self, name: str, permissions: int = WHAT_MYNAH_ASKS) -> Guild:
        with self.changed:
            id = self.ids.next()
            bot_role = Role(self.ids.next(), self.bot.name, permissions)
            guild = Guild(id, name, self.owner, Role(id, "@everyone", EVERYONE), bot_role)
            self.guilds[id] = guild
            guild.members = {self.owner.id: self.owner, self.bot.id: self.bot}
            guild.member_roles[self.bot.id] = [bot_role]
            self.tell(Event("GUILD_CREATE", payloads.guild(self, guild), GUILDS))
            return guild

    def add_channel(self, guild: Guild, name: str, parent: Channel | None = None) -> Channel:
        with self.changed:
            where = Channel(self.ids.next(), THREAD if parent else TEXT, name, guild, parent)
            guild.channels[where.id] = self.channels[where.id] = where
            self.tell(Event("THREAD_CREATE" if parent else "CHANNEL_CREATE", payloads.channel(where), GUILDS))
            return where

    def dm_with(self, who: User) -> Channel:
        with self.changed:
            for channel in self.channels.values():
                if channel.kind == DM and channel.recipient is who:
                    return channel
            where = Channel(self.ids.next(), DM, who.name, recipient=who)
            self.channels[where.id] = where
            return where

    def remove_channel(self, where: Channel) -> None:
        with self.changed:
            del self.channels[where.id]
            if where.guild:
                del where.guild.channels[where.id]
            self.tell(Event("CHANNEL_DELETE", payloads.channel(where), GUILDS))

    def remove_guild(self, guild: Guild) -> None:
        """The bot is thrown out."""
        with self.changed:
            del self.guilds[guild.id]
            for id in guild.channels:
                self.channels.pop(id, None)
            self.tell(Event("GUILD_DELETE", {"id": guild.id, "unavailable": False}, GUILDS))

    def bot_permissions(self, where: Channel) -> int:
        if where.guild is None:
            return EVERYONE
        denied = (where.parent or where).denied_to_bot
        return where.guild.permissions_of(self.bot) & ~denied

    def keep_file(self, channel_id: str, filename: str, content: bytes) -> Attachment:
        kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        file = Attachment(self.ids.next(), filename, content, kind, self.clock.now_s() + DAY_S, channel_id)
        self.files[file.id] = file
        return file

    def new_token(self) -> str:
        return secrets.token_urlsafe(48)

    # --- what is said

    def channel(self, id: str) -> Channel:
        if id not in self.channels:
            raise DiscordError(404, 10003, "Unknown Channel")
        return self.channels[id]

    def message(self, channel: Channel, id: str) -> Message:
        """Raises: DiscordError where it is gone, or for one person's eyes only."""
        said = channel.messages.get(id)
        if said is None or said.deleted or said.seen_by is not None:
            raise DiscordError(404, 10008, "Unknown Message")
        return said

    def post(self, said: Message) -> Message:
        with self.changed:
            said.channel.messages[said.id] = said
            if said.seen_by is None:
                self._tell_of_message("MESSAGE_CREATE", said)
            self.changed.notify_all()
            return said

    def edited(self, said: Message, before: str) -> None:
        with self.changed:
            said.earlier.append(before)
            said.edited_s = self.clock.now_s()
            if said.seen_by is None:
                self._tell_of_message("MESSAGE_UPDATE", said)
            self.changed.notify_all()

    def delete(self, said: Message) -> None:
        with self.changed:
            said.deleted = True
            body: Json = {"id": said.id, "channel_id": said.channel.id}
            if said.channel.guild:
                body["guild_id"] = said.channel.guild.id
            self.tell(Event("MESSAGE_DELETE", body, GUILD_MESSAGES if said.channel.guild else DIRECT_MESSAGES))

    def _tell_of_message(self, name: str, said: Message) -> None:
        body = payloads.message(self, said)
        guild = said.channel.guild
        if said.nonce is not None and name == "MESSAGE_CREATE":
            body["nonce"] = said.nonce
        if guild is None:
            self.tell(Event(name, body | {"channel_type": 1}, DIRECT_MESSAGES, said))
            return
        body["guild_id"] = guild.id
        if said.webhook is None:
            body["member"] = {key: value for key, value in payloads.member(guild, said.author).items() if key != "user"}
        self.tell(Event(name, body, GUILD_MESSAGES, said))

    def content_hidden(self, said: Message) -> bool:
        """Whether a bot without the message-content intent sees it empty (DISCORD.md, section 2)."""
        own = said.author is self.bot and said.webhook is None
        return not own and said.channel.guild is not None and self.bot not in said.mentions

    # --- listening

    def tell(self, event: Event) -> None:
        with self.changed:
            self.listener(event)
            self.changed.notify_all()

    def wait_for(self, look: Callable[[], T], what: str, timeout_s: float) -> T:
        """The first true answer of `look`. Raises: AssertionError that names `what` when it takes too long."""
        end = time.monotonic() + timeout_s
        with self.changed:
            while True:
                if found := look():
                    return found
                if not self.changed.wait(min(0.25, max(0.0, end - time.monotonic()))) and time.monotonic() >= end:
                    raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")


def mentioned(world: World, content: str, allowed: Json | None, extra: Iterable[User] = ()) -> list[User]:
    """Whom a text pings, as far as `allowed_mentions` lets it."""
    everyone_named = allowed is None or "users" in allowed.get("parse", [])
    named = [who for who in world.users.values() if f"<@{who.id}>" in content or f"<@!{who.id}>" in content]
    ids = [] if allowed is None else [str(id) for id in allowed.get("users") or []]
    pinged = [who for who in named if everyone_named or who.id in ids]
    return pinged + [who for who in extra if who not in pinged]
