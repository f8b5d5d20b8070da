"""On what ground a voice is learned: what the source of the posts and whoever handed them over say, and the policy."""

from __future__ import annotations

from collections.abc import Sequence

from sqlite_utils import Database

from bot.errors import CommandError, OptedOut
from bot.settings.consent import Consent as Policy
from storage import optouts
from storage.consents import ALL_USES, Consent, Ground, Use

_ONLY_THEIRS = frozenset({"x_archive", "discord_package", "mastodon_archive"})
"""Archives that nobody but the person can download."""
_NAMES = {
    "x_archive": "X archive",
    "x_api": "account on X",
    "discord_package": "Discord data package",
    "mastodon_archive": "Mastodon archive",
    "bluesky": "Bluesky repository",
    "csv": "CSV file",
    "json": "JSON file",
    "text": "text file",
    "example": "example account",
    "adopted": "model made elsewhere",
    "": "posts",
}


def source_name(source: str) -> str:
    """What a reader understands of a source."""
    return _NAMES.get(source, source)


def ground_of_file(source: str, requested_by: str) -> Ground:
    """What a file that is handed over says of the person's will.

    On Discord a member gives only what is their own; whoever sits at the console answers for the file.
    """
    if source == "example":
        return "invented"
    if source in _ONLY_THEIRS:
        return "own_archive"
    return "own_word" if requested_by.startswith("discord:") else "owner"


def ground_of_account(policy: Policy, handle: str, *, connected: bool) -> Ground:
    """Whether a public account may be collected, and why. Raises CommandError where the policy forbids it."""
    if connected:
        return "own_account"
    if policy.handles != "own" and handle in policy.allowed.split():
        return "allow_list"
    if policy.handles == "any":
        return "policy"
    if policy.handles == "allow-list":
        raise CommandError(
            f"@{handle} is not among the accounts that may be collected.",
            "The owner of this Mynah can add it to consent.allowed in config.toml; or give the person's own archive.",
        )
    raise CommandError(
        f"Only the connected account may be collected here, and @{handle} is not it.",
        "Give the person's own archive: /clone file=PATH; or see consent.handles in config.toml.",
    )


def scope_of(ground: Ground) -> tuple[Use, ...]:
    """What a ground allows. Nobody but the person, or the owner who answers for it, has a voice shared with others."""
    return ("train", "speak", "post") if ground in ("allow_list", "policy") else ALL_USES


def in_words(consent: Consent) -> str:
    """The ground as a model card tells it."""
    name, day = source_name(consent.source), f"{consent.at:%Y-%m-%d}"
    match consent.ground:
        case "own_archive":
            return f"It is their own {name}, which only they can download, handed over to this Mynah."
        case "own_word":
            return f"They handed over the {name} themselves on {day} and agreed to be imitated."
        case "own_account":
            return f"It is the {name} that is connected to this Mynah, whose owner had it cloned on {day}."
        case "owner":
            return f"The owner of this Mynah handed over the {name} on {day} and answers for its use."
        case "allow_list":
            return f"The owner of this Mynah has the account on the list of those who may be cloned ({day})."
        case "policy":
            return f"The posts were public on {day}; the person was not asked."
        case "invented":
            return "It was written for Mynah; no such pigeon exists."


def all_in_words(given: Sequence[Consent]) -> str:
    """Every ground on which posts of a person are here, the oldest first; each kind of source once, as it is newest.

    Where the newest was taken back, so were those before it, and it alone is told.
    """
    if given and given[-1].withdrawn_at is not None:
        return in_words(given[-1])
    kinds = {(each.ground, each.source): each for each in given if each.withdrawn_at is None}
    return " ".join(in_words(each) for each in kinds.values())


def refuse_opted_out(
    db: Database,
    *names: str | None,
    told: str = "This person has opted out: their voice is not learned here.",
) -> None:
    """Raises OptedOut where one of the handles, such as what a file or a model calls itself, is not to be imitated.

    Slow where anybody opted out: for the database's thread, now and then.
    """
    plain = {name.removeprefix("@").lower() for name in names if name}
    if any(optouts.names(db, name) for name in plain):
        raise OptedOut(told, "That is for good; please respect it.")
