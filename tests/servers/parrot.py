"""A small bot made with an unmodified discord.py, which drives the local Discord in its own tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import discord
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)


class Parrot(commands.Bot):
    """Keeps what it heard; says what its commands, button and modal tell it to."""

    def __init__(self, *, intents: discord.Intents = INTENTS) -> None:
        super().__init__(
            "!",
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=0.05,
            help_command=None,
        )
        self.heard: list[discord.Message] = []
        self.resumed = asyncio.Event()
        self.living: asyncio.Task[None] | None = None
        """What `start` became."""

    async def setup_hook(self) -> None:
        every: tuple[app_commands.Command[Any, ..., None], ...] = (repeat, slowly, ask, weigh, name_it)
        for command in every:
            self.tree.add_command(command)
        self.add_view(Panel())

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """At once, where discord.py would wait for five seconds."""

    async def on_message(self, message: discord.Message, /) -> None:
        self.heard.append(message)
        await self.process_commands(message)

    async def on_resumed(self) -> None:
        self.resumed.set()


class ShardedParrot(Parrot, commands.AutoShardedBot):
    """The same, as Mynah connects."""

    async def on_shard_resumed(self, shard_id: int) -> None:
        self.resumed.set()


class Panel(discord.ui.View):
    """Answers after a restart too: no timeout, and a custom_id for each item."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Say more", custom_id="more")
    async def more(self, interaction: discord.Interaction[Parrot], button: discord.ui.Button[Panel]) -> None:
        await interaction.response.send_message("More!", ephemeral=True)

    @discord.ui.button(label="Change", custom_id="change")
    async def change(self, interaction: discord.Interaction[Parrot], button: discord.ui.Button[Panel]) -> None:
        await interaction.response.edit_message(content="changed")


class Questions(discord.ui.Modal, title="Questions"):
    name: discord.ui.TextInput[Questions] = discord.ui.TextInput(label="Name", custom_id="name")

    async def on_submit(self, interaction: discord.Interaction, /) -> None:
        await interaction.response.send_message(f"Hello {self.name.value}", ephemeral=True)


@app_commands.command(description="Say it again")
@app_commands.describe(text="what to say")
async def repeat(interaction: discord.Interaction[Parrot], text: str) -> None:
    await interaction.response.send_message(text, view=Panel())


@app_commands.command(description="Think first")
async def slowly(interaction: discord.Interaction[Parrot], secretly: bool = False) -> None:
    await interaction.response.defer(thinking=True, ephemeral=secretly)
    await interaction.followup.send("thought")
    await interaction.followup.send("and more", ephemeral=secretly)


@app_commands.command(description="Ask with a form")
async def ask(interaction: discord.Interaction[Parrot]) -> None:
    await interaction.response.send_modal(Questions())


@app_commands.command(description="How heavy is it?")
async def weigh(interaction: discord.Interaction[Parrot], file: discord.Attachment) -> None:
    content = await file.read()
    await interaction.response.send_message(f"{file.filename}: {len(content)} bytes")


@app_commands.command(description="Name a persona")
async def name_it(interaction: discord.Interaction[Parrot], persona: str, member: discord.Member) -> None:
    await interaction.response.send_message(f"{persona} is {member.name}")


@name_it.autocomplete("persona")
async def personas(interaction: discord.Interaction[Parrot], current: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name, value=name) for name in ("ann", "anton", "bea") if name.startswith(current)]


class Reachable(Protocol):
    """A local Discord, here or in another process."""

    @property
    def token(self) -> str: ...

    @property
    def api_url(self) -> str: ...

    @property
    def gateway_url(self) -> str: ...


@asynccontextmanager
async def running(server: Reachable, bot: Parrot | None = None, token: str | None = None) -> AsyncIterator[Parrot]:
    """A bot that is ready, pointed at the server by discord.py's own class attributes, and closed in the end."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    bot = bot or Parrot()
    try:
        async with bot:
            bot.living = asyncio.create_task(bot.start(token or server.token))
            ready = asyncio.create_task(bot.wait_until_ready())
            await asyncio.wait([bot.living, ready], return_when=asyncio.FIRST_COMPLETED)
            try:
                if ready.done():
                    yield bot
            finally:
                ready.cancel()
                await bot.close()
                await bot.living
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway
