"""`/privacy`: what is kept of people, why, for how long, and how it goes away."""

from __future__ import annotations

from dataclasses import dataclass

from bot.settings import Settings


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of data that is kept."""

    what: str
    why: str
    until: str


@dataclass(frozen=True, slots=True)
class PrivacyNotice:
    """What a person is told."""

    kept: tuple[Kept, ...]
    never: tuple[str, ...]
    elsewhere: tuple[str, ...]
    delete: tuple[str, ...]
    contact: str
    opted_out: int

    @property
    def lines(self) -> tuple[str, ...]:
        """The notice as it is read."""
        return (
            "What is kept:",
            *(f"  {each.what}: {each.why}; {each.until}." for each in self.kept),
            "What never is:",
            *(f"  {each}" for each in self.never),
            "What leaves this machine:",
            *(f"  {each}" for each in self.elsewhere),
            "How to have it deleted:",
            *(f"  {each}" for each in self.delete),
            f"Whom to write to: {self.contact or 'whoever runs this Mynah'}.",
        )


_UNTIL_FORGOTTEN = "kept until /forget or /optout"
_KEPT = (
    Kept("posts of people who were cloned", "a clone learns from them, and nothing it says may repeat them",
         _UNTIL_FORGOTTEN),
    Kept("clones, their weights, samples and figures", "they are what speaks", _UNTIL_FORGOTTEN),
    Kept("who agreed to be cloned, when and to what", "it is the ground on which the posts are used", _UNTIL_FORGOTTEN),
    Kept("schedules, drafts and published posts of a clone", "nothing is to be published twice", _UNTIL_FORGOTTEN),
    Kept("ids of Discord: who asked for a clone, which message shows it", "to answer them, and to count quotas",
         "kept until /optout"),
    Kept("ids of X: whom a clone answered, and which post of theirs", "so that nobody is answered twice in a thread",
         _UNTIL_FORGOTTEN),
    Kept("opt-outs, as salted hashes of a handle or id", "to refuse a clone for good", "kept for good"),
)  # fmt: skip
_NEVER = (
    "Messages read in a channel, and mentions on X: nothing is learned from them, and none is kept.",
    "Files that are handed over: they are read once, and no copy of theirs is kept.",
    "Posts, handles or tokens in a log.",
)
_DELETE = (
    "/forget @handle deletes a clone with its posts, weights, schedules, outbox and pictures.",
    "/optout deletes all that is yours, and nobody can clone you here again.",
    "Backups that the owner made elsewhere are theirs to delete; ask them.",
)


def notice(settings: Settings, opted_out: int) -> PrivacyNotice:
    """What holds with these settings."""
    online = settings.tracking.mode == "auto" and settings.tokens.wandb_api_key is not None
    if online:
        where = "posts, figures and samples of each training go to Weights & Biases, to the owner's account"
    else:
        where = "no post is sent to anybody for it"
    elsewhere = [f"Training and speaking happen on this machine; {where}."]
    elsewhere.append("What a clone publishes, and a model that is pushed to the Hub, are where they were sent.")
    return PrivacyNotice(_KEPT, _NEVER, tuple(elsewhere), _DELETE, settings.card.contact, opted_out)
