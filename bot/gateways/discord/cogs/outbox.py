"""`/outbox`: a person's word on posts whose fate nobody knows, where Mynah runs without a console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import app_commands
from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.lengths import listed
from bot.gateways.discord.permissions import allowed
from bot.posting.outbox import Answer, Entry
from storage.outbox import OPEN

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_WHICH = "its id, as /outbox list shows it"


class OutboxCog(commands.Cog, name="Outbox"):
    """For the owner, and whom `discord.may_administrate` names: it speaks for the whole account."""

    def __init__(self, bot: MynahBot) -> None:
        self._outbox = bot.app.commands.outbox

    @hybrid.group("outbox", "What is to be published, and what nobody knows the fate of", fallback="list")
    @allowed("administrate")
    async def outbox(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        waiting = await self._outbox.posts(OPEN[1:])
        await answer(ctx, listed([_line(entry) for entry in waiting]) or "Nothing waits in the outbox.")

    @hybrid.subcommand(outbox, "sent", "Say that a post is on the account: it was published")
    @app_commands.describe(post=_WHICH)
    @allowed("administrate")
    async def sent(self, ctx: commands.Context[Any], post: str) -> None:
        await self._answer(ctx, post, "sent")

    @hybrid.subcommand(outbox, "resend", "Have a post that is not on the account sent once more")
    @app_commands.describe(post=f"{_WHICH}; look on the account first")
    @allowed("administrate")
    async def resend(self, ctx: commands.Context[Any], post: str) -> None:
        await self._answer(ctx, post, "resend")

    @hybrid.subcommand(outbox, "drop", "Leave a post unsent for good")
    @app_commands.describe(post=_WHICH)
    @allowed("administrate")
    async def drop(self, ctx: commands.Context[Any], post: str) -> None:
        await self._answer(ctx, post, "drop")

    @hybrid.subcommand(outbox, "look", "Have Mynah look for a post on the account once more")
    @app_commands.describe(post=_WHICH)
    @allowed("administrate")
    async def look(self, ctx: commands.Context[Any], post: str) -> None:
        await self._answer(ctx, post, "look")

    async def _answer(self, ctx: commands.Context[Any], post: str, what: Answer) -> None:
        await acknowledge(ctx)
        await answer(ctx, _line(await self._outbox.answer(post, what, f"discord:{ctx.author.id}")))


def _line(entry: Entry) -> str:
    post = entry.post
    why = f" ({post.reason})" if post.reason else ""
    due = f"<t:{int(post.due_at.timestamp())}:R>"
    return f"`{post.short_id}` {due} {entry.where}, @{entry.handle}, {post.state}{why}: {post.text}"
