"""What can be set: one class a table of config.toml, one field a key, with its default and what it takes.

The descriptions are config.toml's comments: a test keeps the two the same. Where values come from is `bot.config`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from bot.settings.consent import Consent
from bot.settings.discord import Discord
from bot.settings.guard import Guard
from bot.settings.posting import Posting
from bot.settings.schedule import Schedule
from bot.settings.section import Section
from bot.settings.speaking import Speaking
from bot.settings.urls import is_base_url
from bot.settings.x import X
from bot.settings.zones import zone_named
from trainer.recipes import RECIPES, Recipe


class Training(Section):
    """The trainer's process, one for each clone that learns."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto takes a GPU where there is one"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto takes bf16 where the processor has it"
    )
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads; 0 lets torch choose")
    nice: int = Field(
        default=19, ge=0, le=19, description="how far training steps back for everything else; 0 is not at all"
    )
    restarts: int = Field(default=3, ge=0, le=100, description="times a training that died is taken up again by itself")
    replay: float = Field(
        default=1.0, ge=0, le=100, description="characters of old posts a refresh hears again, for each new one"
    )


class Corpus(Section):
    """What a person's posts must amount to, after cleaning."""

    min_characters: int = Field(default=6_000, ge=0, description="fewer than this are refused")
    warn_characters: int = Field(default=40_000, ge=0, description="fewer than this are trained on, with a warning")


class Quality(Section):
    """How a finished clone is judged, and when a new version speaks in place of the one before."""

    samples: int = Field(default=100, ge=0, le=10_000, description="samples that a new clone is judged by")
    max_copy_rate: float = Field(
        default=0.05, ge=0, le=1, description="largest share of samples that may repeat posts it learned from"
    )


class Tracking(Section):
    """Weights & Biases: a run for the data and one for the training of each clone."""

    mode: Literal["auto", "offline", "off"] = Field(
        default="auto", description="auto is online where WANDB_API_KEY is set, else offline"
    )
    project: str = Field(default="huggingtweets", min_length=1, description="the project of all runs")
    entity: str = Field(default="", description="the team or user it belongs to; empty is the key's owner")


class Card(Section):
    """What model cards say."""

    contact: str = Field(default="", description="whom to write to for removal, such as you@example.org")


class Voice(Section):
    """The process in which clones speak."""

    threads: int = Field(default=0, ge=0, le=1024, description="cores that speak; 0 takes all physical ones")
    max_adapters: int = Field(
        default=8, ge=1, le=256, description="clones kept loaded; the one silent for longest makes room"
    )
    parallel: int = Field(default=8, ge=1, le=64, description="replies written at the same time")
    context_tokens: int = Field(
        default=512, ge=64, le=8192, description="longest prompt and reply together, for each reply"
    )
    queue: int = Field(default=64, ge=1, le=10_000, description="requests that may wait; further ones are refused")
    timeout_s: float = Field(default=60.0, gt=0, le=3600, description="seconds after which a request is given up")


class Limits(Section):
    """What a file that somebody hands over may be."""

    max_file_mb: int = Field(default=4096, ge=1, description="largest file or archive, in megabytes (10^6 bytes)")
    max_posts: int = Field(default=1_000_000, ge=1, description="most posts that are read from one file")


class Urls(Section):
    """Base addresses of services, for a proxy, a mirror or a peer of your own; empty is the public one."""

    hub: str = Field(default="", description="the Hugging Face Hub: bases other than the bundled one, push and adopt")
    wandb: str = Field(default="", description="Weights & Biases")

    @field_validator("hub", "wandb")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if value and not is_base_url(value):
            raise ValueError("empty, or an address such as https://hub.example.org with no user, query or fragment")
        return value.rstrip("/")


class Logging(Section):
    """What is told on standard error; posts never are."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="the least that is logged"
    )


class Tokens(Section):
    """Secrets, from the environment or from files that it names; shown as asterisks wherever they are printed."""

    discord_token: SecretStr | None = None
    hf_token: SecretStr | None = None
    wandb_api_key: SecretStr | None = None
    x_consumer_key: SecretStr | None = None
    x_consumer_secret: SecretStr | None = None
    x_access_token: SecretStr | None = None
    x_access_token_secret: SecretStr | None = None
    x_bearer_token: SecretStr | None = None
    x_client_id: SecretStr | None = None
    x_client_secret: SecretStr | None = None


class Settings(Section):
    """Everything that can be set. `config_file` and `tokens` say where from; they are no keys of config.toml."""

    recipes: dict[str, Recipe] = Field(default_factory=dict)
    """Of one's own, by name; `bot.own_recipes` reads them."""
    base_model: str = Field(
        default="smollm2-135m", min_length=1, description="a known name, a Hub id, a folder or a .gguf file"
    )
    recipe: str = Field(default="mynah", description="how clones are trained: mynah, huggingtweets or your own")
    timezone: str = Field(default="UTC", description="the zone in which times are shown, such as Europe/Madrid")
    data_dir: Path = Field(default=Path("data"), description="where all state lives; relative to this file's folder")
    training: Training = Training()
    corpus: Corpus = Corpus()
    quality: Quality = Quality()
    tracking: Tracking = Tracking()
    card: Card = Card()
    voice: Voice = Voice()
    limits: Limits = Limits()
    consent: Consent = Consent()
    urls: Urls = Urls()
    schedule: Schedule = Schedule()
    x: X = X()
    posting: Posting = Posting()
    discord: Discord = Discord()
    speaking: Speaking = Speaking()
    guard: Guard = Guard()
    logging: Logging = Logging()
    tokens: Tokens = Tokens()
    config_file: Path | None = None

    @field_validator("recipe")
    @classmethod
    def _is_recipe(cls, value: str, others: ValidationInfo) -> str:
        known = [*RECIPES, *others.data.get("recipes", {})]
        if value not in known:
            raise ValueError(" or ".join(repr(name) for name in known))
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            return zone_named(value).key
        except ValueError:
            raise ValueError("a name of the IANA time zone database, such as 'UTC' or 'Europe/Madrid'") from None

    @property
    def known_recipes(self) -> dict[str, Recipe]:
        """Those that come with Mynah, and one's own."""
        return RECIPES | self.recipes

    @property
    def blocked_words_file(self) -> Path | None:
        """What `guard.blocked_words` names, beside config.toml where that was read."""
        if not self.guard.blocked_words:
            return None
        return (self.config_file.parent if self.config_file else Path()) / Path(self.guard.blocked_words).expanduser()

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which times are shown."""
        return ZoneInfo(self.timezone)


def setting_keys() -> dict[str, str]:
    """Every key of config.toml, dotted and in the file's order, with what it is for."""
    keys = {name: field.description or "" for name, field in Settings.model_fields.items() if field.description}
    for section, model in sections().items():
        keys |= {f"{section}.{name}": field.description or "" for name, field in model.model_fields.items()}
    return keys


def sections() -> dict[str, type[Section]]:
    """The tables of config.toml."""
    annotations = {name: field.annotation for name, field in Settings.model_fields.items() if name != "tokens"}
    return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Section)}
