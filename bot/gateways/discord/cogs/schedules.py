"""`/schedule`: what a persona posts when, here or elsewhere, and when it is refreshed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.cogs.choices import personas_here
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.permissions import allowed
from bot.schedules.requests import ScheduleRequest
from bot.schedules.schedules import Planned

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot


class SchedulesCog(commands.Cog, name="Schedules"):
    """For those who manage the server, or whom `discord.may_schedule` names."""

    def __init__(self, bot: MynahBot) -> None:
        self._schedules = bot.app.commands.schedules

    @hybrid.group("schedule", "What is posted when", fallback="list")
    @app_commands.describe(user="whose; everybody's by default")
    @app_commands.autocomplete(user=personas_here)
    async def schedule(self, ctx: commands.Context[Any], user: str | None = None) -> None:
        await acknowledge(ctx)
        listed = await self._schedules.listed(user)
        await answer(ctx, "\n".join(_told(planned) for planned in listed) or "There are no schedules.")

    @hybrid.subcommand(schedule, "add", "Have a persona post, such as: every weekday 9:30")
    @app_commands.describe(
        user="whose voice",
        when='"every weekday 9:30", "every 3h", "random 3 a day between 9 and 22", or cron',
        to="where; this channel by default",
        prompt="how its posts begin",
        zone="of its times, such as Europe/Madrid",
        missed="what becomes of runs that were missed",
    )
    @app_commands.autocomplete(user=personas_here)
    @allowed("schedule")
    async def add(
        self,
        ctx: commands.Context[Any],
        user: str,
        when: str,
        to: str | None = None,
        prompt: str = "",
        zone: str | None = None,
        missed: Literal["skip", "once", "all"] | None = None,
    ) -> None:
        await acknowledge(ctx)
        target = to or f"discord:{ctx.channel.id}"
        request = ScheduleRequest(
            user, when, target=target, prompt=prompt, zone=zone, misfire=missed, created_by=f"discord:{ctx.author.id}"
        )
        await answer(ctx, _told(await self._schedules.add(request)))

    @hybrid.subcommand(schedule, "refresh", "Have a persona learn what is new, such as: every sunday 4:00")
    @app_commands.describe(user="whose voice", when='such as "every sunday 4:00"')
    @app_commands.autocomplete(user=personas_here)
    @allowed("schedule")
    async def refresh(self, ctx: commands.Context[Any], user: str, *, when: str) -> None:
        await acknowledge(ctx)
        request = ScheduleRequest(user, when, action="refresh", created_by=f"discord:{ctx.author.id}")
        await answer(ctx, _told(await self._schedules.add(request)))

    @hybrid.subcommand(schedule, "pause", "Have a schedule do nothing until it is resumed")
    @allowed("schedule")
    async def pause(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        await answer(ctx, _told(await self._schedules.pause(number)))

    @hybrid.subcommand(schedule, "resume", "Have a schedule go on; what was due meanwhile is skipped")
    @allowed("schedule")
    async def resume(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        await answer(ctx, _told(await self._schedules.resume(number)))

    @hybrid.subcommand(schedule, "remove", "Forget a schedule")
    @allowed("schedule")
    async def remove(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        removed = await self._schedules.remove(number)
        await answer(ctx, f"Schedule {removed.schedule.number} of @{removed.handle} is removed.")


def _told(planned: Planned) -> str:
    """A schedule, with its next times as each reader's Discord shows them."""
    schedule = planned.schedule
    where = "refresh" if schedule.action == "refresh" else schedule.target
    times = " · ".join(discord.utils.format_dt(moment, "f") for moment in planned.next) or schedule.state
    return f"**{schedule.number}** @{planned.handle}, {schedule.words} → {where}\n-# {times}"
