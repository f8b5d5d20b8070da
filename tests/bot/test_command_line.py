"""A typed line, taken apart: what is understood, and what is refused with which words."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import CommandError
from bot.gateways.command_line import clone_request, export_folder, help_lines, parse, say_request
from bot.gateways.forms import FORMS
from bot.gateways.line import Line, the_handle
from bot.requests import CloneRequest, SayRequest


def refusal(line: str) -> str:
    with pytest.raises(CommandError) as refused:
        command = parse(line)
        clone_request(command, "test") if command.name == "clone" else say_request(command)
    return str(refused.value)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("/models", Line("models")),
        ("  !MODELS  ", Line("models")),
        ("/say\t@ada", Line("say", "@ada")),
        ("/train cancel @ada", Line("train", "@ada", ("cancel",))),
        ("/clone @ada file='a b.zip'", Line("clone", "@ada", (), {"file": "a b.zip"})),
        ("/say @ada My dream is count=3", Line("say", "@ada", ("My", "dream", "is"), {"count": "3"})),
        ("/say @ada to @bea x=y", Line("say", "@ada", ("to", "@bea", "x=y"))),
    ],
)
def test_line_is_taken_apart(typed: str, line: Line) -> None:
    assert parse(typed) == line


@pytest.mark.parametrize(
    ("typed", "handle", "words"),
    [
        ("/forget bad", "bad", ()),
        ("/optout ada@example.social", "ada@example.social", ()),
        ("/rollback ada version=2", "ada", ()),
        ("/export ada folder", "ada", ("folder",)),
        ("/refresh ada later.csv", "ada", ("later.csv",)),
        ("/train cancel ada", "ada", ("cancel",)),
        ("/consents withdraw ada", "ada", ("withdraw",)),
        ("/schedule list ada", "ada", ("list",)),
        ("/train cancel @ada", "@ada", ("cancel",)),
        ("/forget two words", "two", ("words",)),
        ("/forget 'two words'", None, ("two words",)),
        ("/clone ada", None, ("ada",)),
        ("/adopt ada", None, ("ada",)),
        ("/persona mode review", None, ("mode", "review")),
        ("/schedule add 'every day 9:30'", None, ("add", "every day 9:30")),
        ("/drafts approve all", None, ("approve", "all")),
        ("/drafts reject 1", None, ("reject", "1")),
    ],
)
def test_handle_needs_no_at_where_nothing_else_can_stand(
    typed: str, handle: str | None, words: tuple[str, ...]
) -> None:
    line = parse(typed)
    assert (line.handle, line.words) == (handle, words)


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("/say", SayRequest(None)),
        ('/say @ada prompt="My dream is" count=5 seed=9', SayRequest("@ada", "My dream is", 5, 9)),
        ("/say @ada My dream is", SayRequest("@ada", "My dream is")),
        ("/say @ada prompt=My dream is count=2", SayRequest("@ada", "My dream is", 2)),
        ("/say @ada prompt=", SayRequest("@ada", "")),
        ("/say @ada count=0 seed=-1", SayRequest("@ada", "", 0, -1)),  # the command says what they may be
    ],
)
def test_say_takes_a_prompt_with_and_without_its_name(typed: str, request_: SayRequest) -> None:
    assert say_request(parse(typed)) == request_


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("/clone @ada file=a.zip", CloneRequest("@ada", Path("a.zip"))),
        ("/clone @ada a.zip", CloneRequest("@ada", Path("a.zip"))),
        ("/clone @ada", CloneRequest("@ada", None)),
        ("/clone file=~/a.zip seed=4", CloneRequest(None, Path.home() / "a.zip", seed=4)),
        ("/clone @a file=x recipe=huggingtweets heldout=yes", CloneRequest("@a", Path("x"), "huggingtweets", True)),
        ("/clone @a file=x source=archive heldout=no", CloneRequest("@a", Path("x"), None, False)),
    ],
)
def test_clone_takes_a_file_with_and_without_its_name(typed: str, request_: CloneRequest) -> None:
    assert clone_request(parse(typed), "console") == request_


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("hello", "Commands begin with a slash."),
        ("/", "There is no command /."),
        ("/modles", "Did you mean /models?"),
        ("/sya @ada", "Did you mean /say?"),
        ("/say @ada cuont=3", "/say has no option cuont. Did you mean count?"),
        ("/models colour=red", "/models has no option colour."),
        ('/say @ada prompt="My dream', "A quote is opened and not closed."),
        ("/say @ada count=five", "count is 'five'. It is a whole number"),
        ("/say @ada count=5x", "count is '5x'. It is a whole number"),
        ("/clone @ada file=a.zip b.zip", "'b.zip' is one word too many."),
        (
            "/clone @ada my archive.zip",
            "one word too many. A path with spaces stands in quotes: file=",
        ),
        ("/clone my archive.zip", "'archive.zip' is one word too many. A path with spaces stands in quotes: file="),
        ("/clone file=my archive.zip", "'archive.zip' is one word too many. A path with spaces stands in quotes"),
        ("/doctor", "/doctor is a command of the shell alone. In another terminal: .venv/bin/mynah doctor"),
        ("/wandb", "After /quit: .venv/bin/mynah wandb sync"),
        ("/say @ada seed=1234567890123456789", "It is a whole number of at most 18 digits"),
        ("/clone @ada file=", "file= is empty. Leave it out, or write it as in /clone [@handle] file=PATH"),
        ("/clone @ada ''", "The path is empty."),
        ("/clone @ada file=a.zip recipe=", "recipe= is empty."),
        ("/clone ada file=a.zip", "'ada' is one word too many. A handle begins with @. The form is /clone"),
        ("/clone @ada file=a.zip heldout=maybe", "heldout is 'maybe'. It is yes or no."),
        ("/clone @ada file=a.zip source=mars", "There is no source 'mars'."),
        ("/clone @ada file=~nobody-of-that-name/a.zip", "names the home of nobody known here"),
    ],
)
def test_mistake_is_refused_in_a_sentence(typed: str, words: str) -> None:
    assert words in refusal(typed)


def test_help_tells_of_every_command_or_of_one() -> None:
    assert [line for line in help_lines(parse("/help")) if line.startswith("/")] == list(FORMS.values())
    assert help_lines(parse("/help /card")) == ["/card @handle", "    write a clone's model card, with its pictures"]
    with pytest.raises(CommandError, match="Did you mean /card"):
        help_lines(parse("/help crad"))


def test_export_needs_a_handle_and_one_folder() -> None:
    line = parse("/export @ada '/tmp/my folder'")
    assert (the_handle(line), export_folder(line)) == ("@ada", Path("/tmp/my folder"))
    with pytest.raises(CommandError, match="needs one folder"):
        export_folder(parse("/export @ada"))
    with pytest.raises(CommandError, match="needs a handle"):
        the_handle(parse("/export /tmp/folder"))


@given(st.text().filter(lambda text: "\n" not in text))
def test_any_quoted_prompt_arrives_as_it_is(prompt: str) -> None:
    assert say_request(parse(f"/say @ada prompt={shlex.quote(prompt)} count=3")) == SayRequest("@ada", prompt, 3)


@given(st.sampled_from([*FORMS, ""]), st.text())
def test_any_line_is_understood_or_refused_in_words(name: str, rest: str) -> None:
    try:
        line = parse(f"/{name} {rest}")
        clone_request(line, "test")
        say_request(line)
    except CommandError as refused:
        assert refused.message
