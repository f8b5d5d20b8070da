"""The console as people meet it: a script on a pipe, and a person at a terminal."""

from __future__ import annotations

import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.invented import invented_posts, write_csv
from tests.running import Home, Mynah

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CTRL_C, CTRL_D = "\x03", "\x04"
PROMPT = "mynah>"


@pytest.fixture
def terminal(ada: Home) -> Iterator[Mynah]:
    with Mynah.on_terminal(ada) as mynah:
        mynah.wait_for(PROMPT)
        yield mynah


def test_quit_ends_it_though_the_pipe_stays_open(ada: Home) -> None:
    with Mynah.on_pipes(ada) as mynah:
        mynah.type("/quit\n")
        assert mynah.ended() == 0
        assert mynah.errors == ""
        assert mynah.left_behind(0) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_though_the_pipe_stays_open(ada: Home, number: signal.Signals) -> None:
    with Mynah.on_pipes(ada) as mynah:
        mynah.type("/say @ada\n")
        mynah.wait_for("a bot imitating them")
        mynah.signal(number)
        assert mynah.ended() == 1
        assert mynah.errors == ""
        assert mynah.left_behind(0) == []


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_key_that_ends_things_is_no_yes_to_a_question_and_ends_nothing(terminal: Mynah, key: str) -> None:
    terminal.type("/forget @ada\r")
    terminal.wait_for(r"for good\? \[y/N\]")
    terminal.type(key)
    terminal.wait_for("Deleting @ada was not confirmed: nothing was changed.")
    terminal.wait_for(PROMPT)
    terminal.type("/models\r")
    terminal.wait_for(r"@ada +1\* +ready")


def test_comments_and_empty_lines_are_passed_over(ada: Home) -> None:
    done = ada.run("run", typed="# a script\n\n   \n/models")
    assert (done.returncode, done.stderr) == (0, "")
    assert "@ada  " in done.stdout


def test_refused_command_is_counted_and_the_rest_is_done(ada: Home) -> None:
    commands = ["/say @nobody", "/train stop", "/train cancel ada", "/train cancel ada bea", "/train status"]
    done = ada.run("run", typed="\n".join([*commands, "/export @ada", "/help", "/quit\n"]))
    assert done.returncode == 1
    assert [line.split(". ")[0] for line in done.stderr.splitlines()] == [
        "There is no persona @nobody",
        "/train does not know 'stop'",
        "@ada is not being trained",
        "'ada' is one word too many",
        "/export needs one folder",
    ]
    assert "Nothing is being trained." in done.stdout
    assert "/train status | watch | cancel [@handle]" in done.stdout


def test_voice_that_was_killed_answers_the_next_request(ada: Home) -> None:
    with Mynah.on_pipes(ada) as mynah:
        for _ in range(2):
            mynah.type('/say @ada prompt="My dream is"\n')
            mynah.wait_for(r"imitating them\):\nMy dream is")
            mynah.voice().kill()
        mynah.end_input()
        assert mynah.ended() == 0


def test_hostile_prompt_reaches_the_terminal_as_harmless_text(ada: Home) -> None:
    prompts = {
        "\x1b[31mred\x07 \x9b2J is": " [31mred   2J is",
        "\x1b]0;owned\x07 is": " ]0;owned  is",
        "<|endoftext|>it is": "it is",
        "<|im_start|>user is": "user is",
        ":cat: is": ":cat: is",
        "[bold]x[/bold] is": "[bold]x[/bold] is",
        "ü 🐦 is": "ü 🐦 is",
        "half \udcff is": "half ? is",
    }
    done = ada.run("run", typed="".join(f'/say @ada prompt="{prompt}"\n' for prompt in prompts))
    assert (done.returncode, done.stderr) == (0, "")
    assert not CONTROLS.search(done.stdout)
    said = done.stdout.split("(a bot imitating them):\n")[1:]
    assert [post[: len(shown)] for post, shown in zip(said, prompts.values(), strict=True)] == [*prompts.values()]


def test_hostile_names_are_refused_without_driving_the_terminal(ada: Home, tmp_path: Path) -> None:
    typed = (
        "/clone @ev\x1b[2Jil file=x\n/clone @eve file=\x1b]0;owned\x07.csv\n/say @\x1b[31m\n/\x1b[2J\n"
        f"/clone @eve 'a\udcff'\n/export @ada '{tmp_path}/\x1b[31mred \udcff'\n"
    )
    done = ada.run("run", typed=typed)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 6
    assert not CONTROLS.search(done.stdout + done.stderr)


def test_file_with_spaces_quotes_and_accents_is_found(home: Home, tmp_path: Path) -> None:
    file = write_csv(tmp_path / 'Ada\'s "größte" pösts 🐦.csv', "ada", invented_posts(5))
    quoted = str(file).replace('"', '\\"')
    done = home.run("run", typed=f'/clone @ada file="{quoted}"\n')
    assert "@ada: 5 posts are new" in done.stdout
    assert done.returncode == 1
    assert "There is too little to learn from" in done.stderr


def test_terminal_speaks_and_remembers_in_private(terminal: Mynah, ada: Home) -> None:
    terminal.type('/say @ada prompt="My dream is" count=2\r')
    terminal.wait_for(r"a bot imitating them\):\r?\n(My dream is.*\r?\n){2}")
    terminal.wait_for(PROMPT)
    history = ada.data / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert 'prompt="My dream is"' in history.read_text("utf-8")


def test_ctrl_c_at_the_prompt_goes_on_and_ctrl_d_ends(terminal: Mynah) -> None:
    terminal.type(f"/half a comm{CTRL_C}")
    terminal.wait_for("/quit or Ctrl-D leaves")
    terminal.wait_for(PROMPT)
    terminal.type("/nonsense\r")
    terminal.wait_for("There is no command /nonsense")
    terminal.wait_for(PROMPT)
    terminal.type(CTRL_D)
    assert terminal.ended() == 0
    assert terminal.left_behind(0) == []


def test_tab_completes_commands_and_handles(terminal: Mynah) -> None:
    terminal.type("/sa")
    terminal.wait_for("/say")
    terminal.type("\t @a")
    terminal.wait_for("@ada")
    terminal.type("\t\r")
    terminal.wait_for(r"@ada \(a bot imitating them\)")


def test_clone_shows_a_bar_and_ctrl_c_cancels_it(terminal: Mynah, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "many.csv", "bea", invented_posts(1_000))
    terminal.type(f"/clone @bea file={file}\r")
    terminal.wait_for(r"━+.*@bea step \d+/\d+  loss \d+\.\d\d  \d+ tokens/s  ETA \d+:\d\d")
    terminal.type(CTRL_C)
    terminal.wait_for("@bea: cancelled.")
    terminal.wait_for(PROMPT)
    terminal.type(CTRL_D)
    assert terminal.ended() == 0
