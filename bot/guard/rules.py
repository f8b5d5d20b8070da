"""What a post may look like: whole, short enough, in its persona's language, and with nothing that is not allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bot.guard.blocked import NO_WORDS, BlockedWords
from bot.guard.links import find_links
from bot.guard.profile import Profile
from bot.guard.unsaid import holds
from bot.guard.weighted import can_be_sent
from trainer.quality.words import words

Reason = Literal[
    "empty", "cut", "too long", "mention", "hashtag", "link", "blocked word", "unsaid word", "toxic word",
    "other language", "invented quote", "copy", "cannot tell",
]  # fmt: skip

SENTENCES: dict[Reason, str] = {
    "empty": "It says nothing.",
    "cut": "It ends in the middle of a word or a quotation.",
    "too long": "It is longer than its target takes.",
    "mention": "It names an account, which its persona may not (guard.mentions, /persona allow).",
    "hashtag": "It has a hashtag, which its persona may not (guard.hashtags, /persona allow).",
    "link": "It has a link, which its persona may not (guard.links, /persona allow).",
    "blocked word": "It has a word of guard.blocked_words.",
    "unsaid word": "It has a word that its persona never says on Discord (/persona words).",
    "toxic word": "It has a word of the list of toxic ones.",
    "other language": "It is in no language of its persona.",
    "invented quote": "It puts words into the mouth of somebody real, and does not say that it is invented.",
    "copy": "It is somebody's post already, or nearly so.",
    "cannot tell": "It could not be checked, so it does not leave.",
}

LABELS = ("parody", "satire", "satirical", "not a real quote", "invented", "imagined", "made up", "ai-generated")

MOST_ON_DISCORD = 2_000
_LONGEST = 10_000
_MENTION = re.compile(r"(?<![\w@＠/])[@＠]\w")
_HASHTAG = re.compile(r"(?<![\w&/])[#＃]\w*[^\W\d_]")
_NOBODY = r"(?!(?:I|He|She|They|We|You|It|Me|Nobody|Everybody|Everyone|Someone|Somebody|People|Who)\b)"
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*"
_NAME = rf"{_NOBODY}(?:@\w+|{_CAPITAL}(?:\s+{_CAPITAL})*)"
_FULL_NAME = rf"(?:@\w+|{_CAPITAL}\s+{_CAPITAL})"
_QUOTED = r"[\"“«„][^\"“”«»„\n]{10,}[\"”»“]"
_SAID = r"(?:said|says|wrote|writes|tweeted|told|dijo|dice|a dit|sagte|disse|ha detto)"
_INVENTED = re.compile(
    rf"{_QUOTED}\s*(?:[-–—~―]\s*|{_SAID}\s+|\(\s*){_NAME}|{_QUOTED},?\s*{_NAME}\s+(?:once\s+)?{_SAID}\b"
    rf"|{_NAME}\s+(?:once\s+|just\s+)?{_SAID}\b[^\"“«„\n]{{0,30}}{_QUOTED}|{_FULL_NAME}:\s*{_QUOTED}"
)
_EMOTICON = re.compile(r"[:;=8xX]['-]?[()\[\]]+|[()\[\]]+['-]?[:;=]")
_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"), ("«", "»"))
_OPEN_END = re.compile(r"(?:[,(\[“«\u200d]|\w[-‐])$")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed."""

    mentions: bool = False
    hashtags: bool = False
    links: bool = False
    blocked: BlockedWords = NO_WORDS
    toxic: BlockedWords = NO_WORDS
    unsaid: tuple[str, ...] = ()
    """By this persona, where the text is for Discord."""


def broken(text: str, rules: Rules, profile: Profile, target: str = "x") -> Reason | None:
    """The first rule that a text breaks."""
    return next((reason for reason, breaks in _checks(text, rules, profile, target) if breaks()), None)


def _checks(text: str, rules: Rules, profile: Profile, target: str) -> tuple[tuple[Reason, Callable[[], object]], ...]:
    return (
        ("empty", lambda: not any(character.isalnum() for character in text)),
        ("too long", lambda: len(text) > _LONGEST or not _fits(text, target)),
        ("cut", lambda: is_cut(text, profile)),
        ("link", lambda: not rules.links and find_links(text)),
        ("mention", lambda: not rules.mentions and _MENTION.search(text)),
        ("hashtag", lambda: not rules.hashtags and _HASHTAG.search(text)),
        ("blocked word", lambda: rules.blocked.found_in(text)),
        ("unsaid word", lambda: holds(text, rules.unsaid)),
        ("toxic word", lambda: rules.toxic.found_in(text)),
        ("other language", lambda: not profile.speaks_like(text)),
        ("invented quote", lambda: invents_a_quote(text)),
    )


def is_cut(text: str, profile: Profile) -> bool:
    """Whether a text stops before its end: half a character, an open quotation, half a word."""
    text = text.rstrip()
    plain = _EMOTICON.sub("", text)
    if "\ufffd" in text or _OPEN_END.search(plain):
        return True
    if any(plain.count(opening) > plain.count(closing) for opening, closing in _PAIRS) or plain.count('"') % 2:
        return True
    last = words(text.split()[-1])[-1:] if text.split() and text[-1].isalnum() else []
    return bool(last) and profile.is_cut(last[0])


def invents_a_quote(text: str) -> bool:
    """Whether a text quotes somebody by name, and does not say that the quotation is invented."""
    return _INVENTED.search(text) is not None and not any(label in text.lower() for label in LABELS)


def _fits(text: str, target: str) -> bool:
    return can_be_sent(text) if target in ("x", "dry") else len(text) <= MOST_ON_DISCORD
