"""What Discord is made of: users, guilds, channels, messages, webhooks, interactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
"""An object on the wire."""

EPHEMERAL, LOADING, IS_COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15

ADMINISTRATOR = 1 << 3
VIEW_CHANNEL, SEND_MESSAGES, EMBED_LINKS, ATTACH_FILES = 1 << 10, 1 << 11, 1 << 14, 1 << 15
READ_MESSAGE_HISTORY, MANAGE_WEBHOOKS, SEND_MESSAGES_IN_THREADS = 1 << 16, 1 << 29, 1 << 38
WHAT_MYNAH_ASKS = 275_414_895_616
"""The permissions integer of the bot's invitation (DISCORD.md, section 10)."""
EVERYONE = VIEW_CHANNEL | SEND_MESSAGES | EMBED_LINKS | ATTACH_FILES | READ_MESSAGE_HISTORY | SEND_MESSAGES_IN_THREADS

TEXT, DM, THREAD = 0, 1, 11


class DiscordError(Exception):
    """An answer that says no: HTTP status, Discord's code, and for a form the tree of what is wrong."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors


@dataclass(eq=False)
class User:
    id: str
    name: str
    bot: bool = False
    takes_dms: bool = True


@dataclass(eq=False)
class Role:
    id: str
    name: str
    permissions: int = 0


@dataclass(eq=False)
class Guild:
    id: str
    name: str
    owner: User
    everyone: Role
    bot_role: Role
    roles: list[Role] = field(default_factory=list)
    """Besides everyone's and the bot's."""
    members: dict[str, User] = field(default_factory=dict)
    member_roles: dict[str, list[Role]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)

    def permissions_of(self, user: User) -> int:
        if user is self.owner:
            return (1 << 53) - 1
        together = self.everyone.permissions
        for role in self.member_roles.get(user.id, []):
            together |= role.permissions
        return together


@dataclass(eq=False)
class Channel:
    id: str
    kind: int
    name: str
    guild: Guild | None = None
    parent: Channel | None = None
    """Of a thread."""
    recipient: User | None = None
    """Of a DM."""
    denied_to_bot: int = 0
    """Permission bits that an overwrite takes away."""
    messages: dict[str, Message] = field(default_factory=dict)
    webhooks: list[Webhook] = field(default_factory=list)
    typed_at: list[float] = field(default_factory=list)
    """When the bot was shown typing."""


@dataclass(eq=False)
class Attachment:
    id: str
    filename: str
    content: bytes
    content_type: str
    expires_s: float
    channel_id: str


@dataclass(eq=False)
class Message:
    id: str
    channel: Channel
    author: User
    created_s: float
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    nonce: str | int | None = None
    mentions: list[User] = field(default_factory=list)
    reply_to: Message | None = None
    webhook: Webhook | None = None
    interaction: Interaction | None = None
    """The one that this answers."""
    seen_by: User | None = None
    """The only one who sees it, if ephemeral."""
    edited_s: float | None = None
    earlier: list[str] = field(default_factory=list)
    """What it said before each edit."""
    deleted: bool = False

    @property
    def loading(self) -> bool:
        return bool(self.flags & LOADING)


@dataclass(eq=False)
class Webhook:
    id: str
    token: str
    channel: Channel
    name: str
    avatar: str | None = None


@dataclass(eq=False)
class Interaction:
    """What a person did, and what became of it."""

    id: str
    token: str
    kind: int
    """2 a command, 3 a component, 4 autocomplete, 5 a modal."""
    user: User
    channel: Channel
    data: Json
    created_s: float
    message: Message | None = None
    """That a button sits on."""
    response: int | None = None
    """The callback's type, once answered."""
    original: Message | None = None
    modal: Json | None = None
    choices: list[Json] | None = None
    followups: list[Message] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Codes of attempts to answer that came too late or twice."""

    @property
    def answers(self) -> list[Message]:
        """What is shown now in answer, oldest first; "is thinking" is no answer."""
        both = ([self.original] if self.original else []) + self.followups
        return [message for message in both if not message.deleted and not message.loading]
