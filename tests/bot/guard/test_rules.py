"""Each rule lets pass what it should and stops what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import GuardError
from bot.guard import blocked
from bot.guard.profile import NOBODY, profile
from bot.guard.rules import SENTENCES, Reason, Rules, broken
from bot.guard.unsaid import holds

ENGLISH = profile(["I walked along the harbour in the morning and it was a good day for the ships"] * 40)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a good day for the ships", None),
        ("  ", "empty"),
        ("🙂🙂", "empty"),
        ("…!", "empty"),
        ("x" * 280, None),
        ("x" * 281, "too long"),
        ("日" * 141, "too long"),
        ("hello @ada", "mention"),
        ("mail me: ada at home", None),
        ("so #blessed", "hashtag"),
        ("we are #1", None),
        ("it's on example.com now", "link"),
        ("https://t.co/abc", "link"),
        ("he told me (and then", "cut"),
        ("she said “well", "cut"),
        ("half a character \ufffd", "cut"),
        ("and so, I went to the har-", "cut"),
        ("not sad at all :(", None),
        ('"The harbour is the best place on earth" — Albert Einstein', "invented quote"),
        ('Albert Einstein said "the harbour is the best place"', "invented quote"),
        ('As @nasa wrote: "we have landed in the harbour"', "mention"),
        ('Parody. Albert Einstein: "the harbour is the best place"', None),
        ('I said "the harbour is the best place" and left', None),
    ],
)
def test_rule_stops_what_it_is_for(text: str, reason: Reason | None) -> None:
    assert broken(text, Rules(), NOBODY) == reason


def test_what_is_allowed_passes() -> None:
    text = "so #blessed, @ada: https://example.com"
    assert broken(text, Rules(mentions=True, hashtags=True, links=True), NOBODY) is None


def test_discord_takes_longer_texts() -> None:
    assert broken("x" * 2_000, Rules(), NOBODY, "discord:1") is None
    assert broken("x" * 2_001, Rules(), NOBODY, "discord:1") == "too long"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("in the harbour it was a good morning", None),
        ("en el puerto hacía un buen día para los barcos", "other language"),
        ("im hafen war ein guter tag für schiffe", "other language"),
        ("в гавани было хорошее утро", "other language"),
        ("buenos días", None),  # too short to tell
        ("it was a good day in the harb", "cut"),
        ("it was a good day in the harbourside", None),
    ],
)
def test_text_is_whole_and_in_its_personas_language(text: str, reason: Reason | None) -> None:
    assert broken(text, Rules(), ENGLISH) == reason


def test_blocked_words_are_whole_words_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# mine\nHarbour\ngood  day\n", encoding="utf-8")
    rules = Rules(blocked=blocked.from_file(tmp_path / "words.txt"))
    assert broken("the HARBOUR!", rules, NOBODY) == "blocked word"
    assert broken("what a good, day it was", rules, NOBODY) == "blocked word"
    assert broken("good harbours all day", rules, NOBODY) is None


@pytest.mark.parametrize(
    ("text", "unsaid", "is_held"),
    [
        ("The Sea, the sea", ["sea"], True),
        ("seaside", ["sea"], False),
        ("a  b\nc", ["b c"], True),
        ("Straße", ["strasse"], True),
        ("100%", ["100%"], True),
        ("anything", [], False),
    ],
)
def test_unsaid_words_are_whole_words_in_any_case(text: str, unsaid: list[str], is_held: bool) -> None:
    assert holds(text, unsaid) is is_held


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("I don’t know", "don't"),
        ("I don't know", "DON’T"),
        ("a “big deal” here", '"big deal"'),
        ('a "big deal" here', "„big deal“"),
        ("the ｂｏｓｓ said", "boss"),
        ("the boss said", "ＢＯＳＳ"),
        ("ﬁne by me", "fine"),
        ("caf\u00e9 au lait", "cafe\u0301"),
    ],
)
def test_neither_apostrophes_nor_forms_of_letters_hide_a_word(tmp_path: Path, said: str, listed: str) -> None:
    (tmp_path / "words.txt").write_text(listed, encoding="utf-8")
    assert holds(said, [listed])
    assert blocked.from_file(tmp_path / "words.txt").found_in(said)


def test_toxic_words_are_those_of_the_named_languages() -> None:
    assert broken("oh crap", Rules(toxic=blocked.toxic("en")), NOBODY) == "toxic word"
    assert broken("oh crap", Rules(toxic=blocked.toxic("")), NOBODY) is None
    assert blocked.toxic("en,es").phrases > blocked.toxic("es").phrases


@pytest.mark.parametrize("languages", ["xx", "../en", "en,zz"])
def test_unknown_list_is_named(languages: str) -> None:
    with pytest.raises(GuardError, match=f"toxic words of {languages!r} are not here"):
        blocked.toxic(languages)


def test_unreadable_list_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(GuardError, match="cannot be read"):
            blocked.from_file(path)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GuardError):
        blocked.from_file(tmp_path / "bytes.txt")


@given(st.text(max_size=300))
def test_any_text_gets_a_verdict(text: str) -> None:
    reason = broken(text, Rules(toxic=blocked.toxic("en")), ENGLISH)
    assert reason is None or SENTENCES[reason]
