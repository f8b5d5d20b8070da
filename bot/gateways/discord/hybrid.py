"""discord.py's decorators for hybrid commands in a cog, with types that mypy can infer: its own offer it a union."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from discord.ext import commands

CogT = TypeVar("CogT", bound=commands.Cog)
ContextT = TypeVar("ContextT", bound=commands.Context[Any])
P = ParamSpec("P")
T = TypeVar("T")

Method = Callable[Concatenate[CogT, ContextT, P], Coroutine[Any, Any, T]]


def command(
    name: str, description: str
) -> Callable[[Method[CogT, ContextT, P, T]], commands.HybridCommand[CogT, P, T]]:
    """One definition for `/name` and the prefix."""
    return cast(
        "Callable[[Method[CogT, ContextT, P, T]], commands.HybridCommand[CogT, P, T]]",
        commands.hybrid_command(name=name, description=description),
    )


def group(
    name: str, description: str, fallback: str
) -> Callable[[Method[CogT, ContextT, P, T]], commands.HybridGroup[CogT, P, T]]:
    """The bare group is `/name fallback`."""
    return cast(
        "Callable[[Method[CogT, ContextT, P, T]], commands.HybridGroup[CogT, P, T]]",
        commands.hybrid_group(name=name, description=description, fallback=fallback),
    )


def guild_id(ctx: commands.Context[Any]) -> int | None:
    """None in direct messages."""
    return ctx.guild.id if ctx.guild is not None else None


def subcommand(
    of: commands.HybridGroup[Any, ..., Any], name: str, description: str
) -> Callable[[Method[CogT, ContextT, P, T]], commands.HybridCommand[CogT, P, T]]:
    """`/group name`."""
    return cast(
        "Callable[[Method[CogT, ContextT, P, T]], commands.HybridCommand[CogT, P, T]]",
        of.command(name=name, description=description),
    )
