"""Typed lines of the commands for versions, blends and sharing: what is understood, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import CommandError
from bot.gateways.command_line import blend_request, parse, refresh_request
from bot.gateways.line import Line, refuse_words, the_handle, whole_number, yes_or_no
from bot.requests import BlendRequest, RefreshRequest


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("/blend @a @b", BlendRequest(("@a", "@b"))),
        ("/blend @a @b weights 60 40", BlendRequest(("@a", "@b"), (60, 40))),
        ("!blend @a b @c weights 50% 30% 20%", BlendRequest(("@a", "b", "@c"), (50, 30, 20))),
        ("/blend a @b weights 0.5 1.25", BlendRequest(("@b", "a"), (0.5, 1.25))),
        ("/blend @a @b as=both recipe=mynah seed=4", BlendRequest(("@a", "@b"), (), "both", "mynah", seed=4)),
        ("/blend @a @b weights 3 1 newest=500", BlendRequest(("@a", "@b"), (3, 1), newest=500)),
        ("/blend as=both @a @b weights 1 2", BlendRequest(("@a", "@b"), (1, 2), "both")),
        ("/blend @a @b weights", BlendRequest(("@a", "@b"))),
        ("/blend", BlendRequest(())),
    ],
)
def test_blend_takes_people_then_weights(typed: str, request_: BlendRequest) -> None:
    assert blend_request(parse(typed), "console") == request_


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/blend @a @b weights 60 forty", "'forty' is no weight. The form is /blend"),
        ("/blend @a @b weights 60 -40", "'-40' is no weight."),
        ("/blend @a @b weights nan inf", "'nan' is no weight."),
        ("/blend @a weights 60 @b", "'@b' is no weight."),
        ("/blend @a @b weights 1e300 1", "'1e300' is no weight."),
        ("/blend @a @b seed=x", "seed is 'x'. It is a whole number"),
        ("/blend @a colour=red", "/blend has no option colour."),
        ("/blend '@a @b", "A quote is opened and not closed."),
    ],
)
def test_blend_that_is_mistyped_is_refused(typed: str, told: str) -> None:
    with pytest.raises(CommandError) as refused:
        blend_request(parse(typed), "console")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("/refresh @a", RefreshRequest("@a")),
        ("/refresh @a file='a b.zip' seed=3", RefreshRequest("@a", Path("a b.zip"), seed=3)),
        ("/refresh @a later.csv", RefreshRequest("@a", Path("later.csv"))),
    ],
)
def test_refresh_takes_a_file_with_and_without_its_name(typed: str, request_: RefreshRequest) -> None:
    assert refresh_request(parse(typed), "console") == request_


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/refresh", "/refresh needs a handle."),
        ("/refresh @a x.csv y.csv", "'y.csv' is one word too many."),
        ("/refresh @a recipe=mynah", "/refresh has no option recipe."),
    ],
)
def test_refresh_that_is_mistyped_is_refused(typed: str, told: str) -> None:
    with pytest.raises(CommandError) as refused:
        refresh_request(parse(typed), "console")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("/versions @a", Line("versions", "@a")),
        ("/rollback @a version=2", Line("rollback", "@a", (), {"version": "2"})),
        ("/evaluate @a samples=50 seed=1", Line("evaluate", "@a", (), {"samples": "50", "seed": "1"})),
        ("/card @a", Line("card", "@a")),
        ("/push @a repo=me/a public=yes", Line("push", "@a", (), {"repo": "me/a", "public": "yes"})),
        ("/adopt me/a as=b", Line("adopt", None, ("me/a",), {"as": "b"})),
        ("/adopt '/a folder' @b", Line("adopt", "@b", ("/a folder",))),
    ],
)
def test_other_commands_are_taken_apart(typed: str, line: Line) -> None:
    assert parse(typed) == line


def test_half_a_command_is_not_done() -> None:
    with pytest.raises(CommandError, match="'2' is one word too many"):
        refuse_words(parse("/rollback @a 2"), 0)
    with pytest.raises(CommandError, match="/versions needs a handle"):
        the_handle(parse("/versions"))
    with pytest.raises(CommandError, match=r"version is 'two'\. It is a whole number"):
        whole_number(parse("/rollback @a version=two"), "version")
    with pytest.raises(CommandError, match=r"public is 'perhaps'\. It is yes or no"):
        yes_or_no(parse("/push @a public=perhaps"), "public")


@given(st.lists(st.from_regex(r"@[a-z]{1,8}", fullmatch=True), min_size=1, max_size=5), st.data())
def test_as_many_weights_arrive_as_were_typed(handles: list[str], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 999_999), min_size=len(handles), max_size=len(handles)))
    typed = f"/blend {' '.join(handles)} weights {' '.join(map(str, weights))}"
    assert blend_request(parse(typed), "test") == BlendRequest(tuple(handles), tuple(weights), requested_by="test")


@given(st.sampled_from(["blend", "refresh"]), st.text())
def test_any_line_is_understood_or_refused_in_words(name: str, rest: str) -> None:
    try:
        line = parse(f"/{name} {rest}")
        blend_request(line, "test") if name == "blend" else refresh_request(line, "test")
    except CommandError as refused:
        assert refused.message
