"""`/schedule`: what a persona posts when, here or elsewhere, and when it is refreshed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.cogs.choices import personas_here
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.permissions import allowed
from bot.schedules.requests import ScheduleRequest
from bot.schedules.schedules import MOST_SHOWN, Planned, Trial
from storage.schedules import Run

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_WHICH = "its number, as /schedule list shows it"


class SchedulesCog(commands.Cog, name="Schedules"):
    """For those who manage the server, or whom `discord.may_schedule` names."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
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
        jitter="so much later at most, such as 5m",
        quiet="hours in which nothing is posted, such as 23-7",
        begins="the first day, such as 2026-12-01",
        ends="the last day, or a time on it, such as 2026-12-31T18:00",
        missed="what becomes of runs that were missed",
        dry_run="only show what the next runs would post",
    )
    @app_commands.rename(begins="from", ends="until", dry_run="dry-run")
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
        jitter: str | None = None,
        quiet: str | None = None,
        begins: str | None = None,
        ends: str | None = None,
        missed: Literal["skip", "once", "all"] | None = None,
        dry_run: bool = False,
    ) -> None:
        await acknowledge(ctx)
        request = ScheduleRequest(
            user,
            when,
            target=to or f"discord:{ctx.channel.id}",
            prompt=prompt,
            zone=zone,
            jitter=jitter,
            quiet=quiet,
            begins=begins,
            ends=ends,
            misfire=missed,
            created_by=f"discord:{ctx.author.id}",
        )
        if dry_run:
            self._bot.quotas.refuse_hasty(ctx.author, hybrid.guild_id(ctx))
            await answer(ctx, "\n".join(_tried(trial) for trial in await self._schedules.try_out(request)))
        else:
            await answer(ctx, _told(await self._schedules.add(request)))

    @hybrid.subcommand(schedule, "refresh", "Have a persona learn what is new, such as: every sunday 4:00")
    @app_commands.describe(user="whose voice", when='such as "every sunday 4:00"')
    @app_commands.autocomplete(user=personas_here)
    @allowed("schedule")
    async def refresh(self, ctx: commands.Context[Any], user: str, *, when: str) -> None:
        await acknowledge(ctx)
        request = ScheduleRequest(user, when, action="refresh", created_by=f"discord:{ctx.author.id}")
        await answer(ctx, _told(await self._schedules.add(request)))

    @hybrid.subcommand(schedule, "preview", "When a schedule is due next")
    @app_commands.describe(number=_WHICH, count=f"how many times, up to {MOST_SHOWN}")
    async def preview(
        self, ctx: commands.Context[Any], number: int, count: commands.Range[int, 1, MOST_SHOWN] = 10
    ) -> None:
        await acknowledge(ctx)
        await answer(ctx, _told(await self._schedules.preview(number, count)))

    @hybrid.subcommand(schedule, "history", "What became of a schedule's last runs")
    @app_commands.describe(number=_WHICH, count=f"how many runs, up to {MOST_SHOWN}")
    async def history(
        self, ctx: commands.Context[Any], number: int, count: commands.Range[int, 1, MOST_SHOWN] = 20
    ) -> None:
        await acknowledge(ctx)
        runs = await self._schedules.history(number, count)
        await answer(ctx, "\n".join(_was(run) for run in runs) or "Nothing was due yet.")

    @hybrid.subcommand(schedule, "pause", "Have a schedule do nothing until it is resumed")
    @app_commands.describe(number=_WHICH)
    @allowed("schedule")
    async def pause(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        await answer(ctx, _told(await self._schedules.pause(number)))

    @hybrid.subcommand(schedule, "resume", "Have a schedule go on; what was due meanwhile is skipped")
    @app_commands.describe(number=_WHICH)
    @allowed("schedule")
    async def resume(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        await answer(ctx, _told(await self._schedules.resume(number)))

    @hybrid.subcommand(schedule, "remove", "Forget a schedule")
    @app_commands.describe(number=_WHICH)
    @allowed("schedule")
    async def remove(self, ctx: commands.Context[Any], number: int) -> None:
        await acknowledge(ctx)
        removed = await self._schedules.remove(number)
        await answer(ctx, f"Schedule {removed.schedule.number} of @{removed.handle} is removed.")


def _told(planned: Planned) -> str:
    """A schedule, with its next times as each reader's Discord shows them."""
    schedule = planned.schedule
    where = "refresh" if schedule.action == "refresh" else _place(schedule.target)
    times = " · ".join(_time(moment) for moment in planned.next) or schedule.state
    mind = f"\n-# Mind: {planned.missing}" if planned.missing else ""
    return f"**{schedule.number}** @{planned.handle}, {schedule.words} → {where}\n-# {times}{mind}"


def _place(target: str) -> str:
    """A target, with a channel of Discord by its name, which each reader's Discord puts there."""
    kind, _, channel = target.partition(":")
    return f"<#{channel}>" if kind == "discord" else target


def _tried(trial: Trial) -> str:
    """What a run would post."""
    return f"{_time(trial.due)} {discord.utils.escape_markdown(trial.text) or f'nothing: {trial.refused}'}"


def _was(run: Run) -> str:
    """What became of a run, or of several."""
    until = "" if run.is_one else f" to {_time(run.until_at)}"
    return f"{_time(run.due_at)}{until} {run.outcome}{f': {run.reason}' if run.reason else ''}"


def _time(moment: datetime) -> str:
    return discord.utils.format_dt(moment, "f")
