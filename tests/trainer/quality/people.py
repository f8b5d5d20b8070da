"""Three invented people who write differently about the same things: as many posts as a test needs."""

from __future__ import annotations

import random

_HOW = (
    "old",
    "slow",
    "tired",
    "honest",
    "green",
    "borrowed",
    "foreign",
    "quiet",
    "wooden",
    "frozen",
    "lucky",
    "broken",
)
_WHO = ("neighbour", "librarian", "gardener", "baker", "ferryman", "aunt", "tailor", "postman", "dentist", "painter")
_DID = ("painted", "repaired", "borrowed", "misplaced", "followed", "bought", "sold", "admired", "forgot", "washed")
_WHAT = ("lighthouse", "bicycle", "umbrella", "kettle", "map", "piano", "letter", "clock", "basket", "ladder", "boat")
_WHERE = (
    "harbour",
    "bridge",
    "market",
    "canal",
    "station",
    "garden",
    "tower",
    "school",
    "kitchen",
    "village",
    "museum",
)
_WHEN = ("Today", "Yesterday", "Sometimes", "Apparently", "Once", "Again", "Tonight", "Luckily", "Slowly", "Suddenly")


def careful(count: int, seed: int = 1) -> list[str]:
    """Full sentences."""
    return [f"{sentence}." for sentence in _sentences(count, seed)]


def loud(count: int, seed: int = 1) -> list[str]:
    """Capitals, exclamation marks, hashtags."""
    draw = random.Random(seed)
    return [
        f"{post.upper() if draw.random() < 0.4 else post}{'!' * draw.randint(1, 3)} #summer"
        for post in _sentences(count, seed + 1000)
    ]


def sleepy(count: int, seed: int = 1) -> list[str]:
    """Lower case, no full stop, and often a half-finished thought…"""
    draw = random.Random(seed)
    return [
        " ".join(post.lower().split()[: draw.randint(4, 12)]) + draw.choice(("", "…", " idk", " 🌙"))
        for post in _sentences(count, seed + 2000)
    ]


def _sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)

    def thing(kinds: tuple[str, ...]) -> str:
        return " ".join([*draw.sample(_HOW, draw.randint(1, 3)), draw.choice(kinds)])

    return [
        f"{draw.choice(_WHEN)} the {thing(_WHO)} {draw.choice(_DID)} a {thing(_WHAT)} "
        f"{draw.choice(('behind', 'under', 'near', 'in'))} the {thing(_WHERE)}"
        for _ in range(count)
    ]
