"""Every command of the bot, one file a family; a new family is a file and its line here."""

from __future__ import annotations

from discord.ext import commands

from bot.gateways.discord.bindings import BindingsCog
from bot.gateways.discord.cogs.admin import AdminCog
from bot.gateways.discord.cogs.cloning import CloningCog
from bot.gateways.discord.cogs.drafts import DraftsCog
from bot.gateways.discord.cogs.help import HelpCog
from bot.gateways.discord.cogs.outbox import OutboxCog
from bot.gateways.discord.cogs.people import PeopleCog
from bot.gateways.discord.cogs.personas import PersonasCog
from bot.gateways.discord.cogs.schedules import SchedulesCog
from bot.gateways.discord.owner import OwnerCog
from bot.gateways.discord.progress import Progress
from bot.gateways.discord.speaking import SpeakingCog

COGS: tuple[type[commands.Cog], ...] = (
    Progress,
    SpeakingCog,
    HelpCog,
    BindingsCog,
    CloningCog,
    PersonasCog,
    PeopleCog,
    SchedulesCog,
    AdminCog,
    DraftsCog,
    OutboxCog,
    OwnerCog,
)
