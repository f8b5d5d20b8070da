"""A post is recognised by its text, as X shows it, whatever its author typed; and by no other text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.posting.published import OwnPost, compared, find
from tests.servers.x_shapes import wire_text

PIECES = st.sampled_from(
    [
        "&amp;",
        "&",
        "<b>",
        "https://example.org/a?b=1&c=<2>",
        "example.com",
        "http://example.org/",
        " ",
        "\n",
        "é",
        "e\u0301",
        "🦉",
        "@ada",
    ]
)
TYPED = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), max_size=8).map("".join)


def shown(typed: str, id: str = "7", **more: object) -> OwnPost:
    text, urls = wire_text(typed)
    return OwnPost.model_validate({"id": id, "text": text, "entities": {"urls": urls}, **more})


@given(TYPED)
@example("éexample.com")
def test_post_is_recognised_as_x_shows_it(typed: str) -> None:
    assert compared(shown(typed).typed) == compared(typed)


@pytest.mark.parametrize("other", ["hello world.", "hello", "Hello world", "hello world https://example.org"])
def test_other_text_is_not_taken_for_it(other: str) -> None:
    assert find("hello world", [shown(other)], frozenset()) is None


def test_long_post_is_recognised_by_its_whole_text() -> None:
    text = "word & " * 60
    note = {"text": wire_text(text)[0]}
    assert find(text, [shown("word & …", note_tweet=note)], frozenset()) is not None


def test_answers_reposts_and_posts_that_belong_to_others_are_left_out() -> None:
    reply = shown("same", "1", referenced_tweets=[{"type": "replied_to", "id": "9"}])
    posts = [shown("same", "4"), shown("same", "3"), shown("same", "2"), reply]
    found = find("same", posts, frozenset({"2"}))
    assert found is not None
    assert found.id == "3"


def test_answer_is_known_by_whom_it_answers_with_or_without_their_name() -> None:
    to_seven = {"referenced_tweets": [{"type": "replied_to", "id": "7"}]}
    named, other = shown("@ann @bob of course", "8", **to_seven), shown("of course", "9")
    assert find("of course", [named, other], frozenset(), "7") == named
    assert find("of course", [named, other], frozenset()) == other
    assert find("of course", [named, other], frozenset(), "6") is None
