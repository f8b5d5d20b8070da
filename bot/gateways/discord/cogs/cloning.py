"""`/clone`, `/blend`, `/refresh` and `/train`: voices are learned, each told of in one message."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import discord
from discord import app_commands
from discord.ext import commands

from bot.data_folder import DataFolder
from bot.errors import CommandError
from bot.gateways.command_line import blend_request, parse
from bot.gateways.discord import hybrid, uploads
from bot.gateways.discord.cogs.choices import personas_here, recipes_here
from bot.gateways.discord.consent_views import ask_member
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.permissions import allowed
from bot.gateways.discord.price_views import PriceButton, ask_price
from bot.gateways.text import duration
from bot.requests import BlendRequest, CloneRequest, RefreshRequest
from bot.x.asking import NeedsYes
from storage.errors import UnderWay

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_MEMBER = re.compile(r"<@!?(\d+)>")
_NAMED_FILE = re.compile(r"(?:^|\s)file=")
_ONES_OWN = (
    "Attach a file of your own posts: Discord's data package (User Settings → Data & Privacy → Request all of my data, "
    "only *Messages* ticked), or an archive of X, Mastodon or Bluesky."
)


class CloningCog(commands.Cog, name="Cloning"):
    """For those whom `discord.may_clone` names; so many a day, for each person and each server."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._commands = bot.app.commands

    async def cog_load(self) -> None:
        """From here on, prices that were asked before are answered too."""
        self._bot.add_dynamic_items(PriceButton)

    @hybrid.command("clone", "Learn how somebody posts, from a file of their posts, and speak like them")
    @app_commands.describe(
        user="whose voice: @handle, or a name for the file's owner",
        file="a data package or archive (zip), CSV, JSON or text",
        recipe="how it learns",
        source="where the posts are: in the file, or on X, which costs money and is asked about first",
        depth="most posts that are read from X",
    )
    @app_commands.autocomplete(user=personas_here, recipe=recipes_here)
    @allowed("clone")
    async def clone(
        self,
        ctx: commands.Context[Any],
        user: str | None = None,
        file: Optional[discord.Attachment] = None,  # noqa: UP045 - discord.py knows only this form (DISCORD.md section 9)
        recipe: str | None = None,
        source: Literal["file", "x"] = "file",
        depth: int | None = None,
    ) -> None:
        await acknowledge(ctx)
        await self._refuse_beyond_quota(ctx)
        if source == "x":
            self._bot.quotas.refuse_curious(ctx.author)
            await self._submit(ctx, _from_x(ctx, user, file, recipe, depth), None)
            return
        if (member_id := _other_member(ctx, user)) is not None:
            await ask_member(self._bot, ctx, member_id, asked_by(ctx), recipe)
            return
        handle = await self._whose(ctx, user, file)
        path = await self._fetched(ctx, file)
        await self._submit(ctx, CloneRequest(handle, path, recipe, requested_by=asked_by(ctx)), path)

    @hybrid.command("blend", "One voice out of several people who are here")
    @app_commands.describe(users="@a @b, and weights 60 40 where they are not equal", name="what it is called")
    @allowed("clone")
    async def blend(self, ctx: commands.Context[Any], *, users: str, name: str | None = None) -> None:
        await acknowledge(ctx)
        await self._refuse_beyond_quota(ctx)
        request = blend_request(parse(f"/blend {users.replace(',', ' ')}"), asked_by(ctx))
        await self._submit(ctx, replace(request, name=name or request.name), None)

    @hybrid.command("refresh", "Go on learning from what somebody posted since")
    @app_commands.describe(user="whose voice", file="a newer archive of theirs")
    @app_commands.autocomplete(user=personas_here)
    @allowed("clone")
    async def refresh(
        self,
        ctx: commands.Context[Any],
        user: str,
        file: Optional[discord.Attachment] = None,  # noqa: UP045
    ) -> None:
        await acknowledge(ctx)
        await self._refuse_beyond_quota(ctx)
        if file is None:  # it may be of X, where looking costs
            self._bot.quotas.refuse_curious(ctx.author)
        path = await self._fetched(ctx, file)
        await self._submit(ctx, RefreshRequest(user, path, asked_by(ctx)), path)

    @hybrid.group("train", "What is learning now, and who waits", fallback="status")
    async def train(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        under_way = await self._commands.train_status()
        lines = [
            f"{place}. @{one.handle}, version {one.version}: {one.state} for "
            f"{duration((datetime.now(UTC) - one.created_at).total_seconds())}"
            for place, one in enumerate(under_way, 1)
        ]
        await answer(ctx, "\n".join(lines) or "Nothing is being trained.")

    @hybrid.subcommand(train, "cancel", "End a training, or take it out of the line")
    @app_commands.describe(user="whose")
    @app_commands.autocomplete(user=personas_here)
    @allowed("clone")
    async def cancel(self, ctx: commands.Context[Any], user: str) -> None:
        await acknowledge(ctx)
        cancelled = await self._commands.train_cancel(user)
        await answer(ctx, f"@{cancelled.handle}: cancelled.")

    async def _submit(
        self, ctx: commands.Context[Any], request: CloneRequest | BlendRequest | RefreshRequest, path: Path | None
    ) -> None:
        """In line, and told of in the channel; a file that led to no clone is not kept."""
        try:
            match request:
                case CloneRequest():
                    submitted = await self._commands.clone(request)
                case BlendRequest():
                    submitted = await self._commands.blend(request)
                case RefreshRequest():
                    submitted = await self._commands.refresh(request)
        except NeedsYes as price:
            if isinstance(request, CloneRequest):
                await ask_price(ctx, "clone", price, request.recipe)
            else:
                await ask_price(ctx, "refresh", price)
        except UnderWay as busy:
            _discard(path)
            await answer(ctx, f"{busy.message} `/train status` tells how far it is.")
        except BaseException:
            _discard(path)
            raise
        else:
            await self._bot.progress.begin(ctx, submitted)

    async def _whose(self, ctx: commands.Context[Any], user: str | None, file: discord.Attachment | None) -> str | None:
        """The handle that is meant. A member's voice comes only from a file that they hand over themselves."""
        member = _MEMBER.fullmatch((user or "").strip())
        if member is None:
            if user is None and file is None:
                raise CommandError("Whose voice?", "/clone user:@handle, or attach a file of posts.")
            return user
        if file is None:
            raise CommandError("Your own voice comes from a file of your posts.", _ONES_OWN)
        return ctx.author.name

    async def _fetched(self, ctx: commands.Context[Any], file: discord.Attachment | None) -> Path | None:
        if file is None:
            if _NAMED_FILE.search(ctx.message.content):
                raise CommandError("Here a file is attached, not named.", "Attach it, and give the command once more.")
            return None
        folder = DataFolder(self._bot.settings.data_dir).uploads.resolve()
        return await uploads.fetch(file, folder, self._bot.settings.discord.upload_mb)

    async def _refuse_beyond_quota(self, ctx: commands.Context[Any]) -> None:
        self._bot.quotas.refuse_hasty(ctx.author, hybrid.guild_id(ctx))
        await self._bot.quotas.refuse_beyond(ctx.author, hybrid.guild_id(ctx))


def _other_member(ctx: commands.Context[Any], user: str | None) -> int | None:
    """A member who is not the one who asks: they are asked themselves, whatever file comes with it."""
    member = _MEMBER.fullmatch((user or "").strip())
    return int(member[1]) if member is not None and int(member[1]) != ctx.author.id else None


def asked_by(ctx: commands.Context[Any]) -> str:
    """Who asked, as a clone's row has it."""
    return f"discord:{ctx.author.id}@{ctx.guild.id}" if ctx.guild is not None else f"discord:{ctx.author.id}"


def _from_x(
    ctx: commands.Context[Any], user: str | None, file: discord.Attachment | None, recipe: str | None, depth: int | None
) -> CloneRequest:
    """Raises CommandError unless it names an account of X alone."""
    if user is None or file is not None or _MEMBER.fullmatch(user.strip()):
        raise CommandError("From X a clone needs a handle there, and no file.", "/clone user:@handle source:x")
    return CloneRequest(user, None, recipe, requested_by=asked_by(ctx), source="x", depth=depth)


def _discard(path: Path | None) -> None:
    if path is not None:
        uploads.discard(path)
