"""What a terminal is given to show: plain words, and nothing that drives it."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import Said
from bot.doctor import Finding
from bot.gateways import figures, text
from bot.gateways.printable import printable, without_folders
from storage.clones import Overview
from storage.errors import MynahError
from trainer.protocol import Counted, Step
from trainer.report import Change, DriftReport, Estimate

WILD = st.text(st.characters())
COUNTED = Counted(
    downloaded=3247, reposts=34, short=501, kept=2712, duplicates=0, characters=250_000, train=2441, heldout=271
)


def overview(**columns: object) -> Overview:
    known: dict[str, object] = {
        "clone_id": "1",
        "handle": "ada",
        "version": 2,
        "state": "ready",
        "is_current": True,
        "bundled": False,
        "recipe": "mynah",
        "base": "gpt2",
        "posts_downloaded": 3247,
        "posts_kept": 2712,
        "bits_per_byte_before": 2.521,
        "bits_per_byte_after": 1.789,
        "model_size_bytes": 1,
        "error_message": None,
        "created_at": datetime(2026, 11, 24, 13, 5, tzinfo=UTC),
        "started_at": None,
        "finished_at": None,
    }
    return Overview(**known | columns)  # type: ignore[arg-type]


@given(WILD)
def test_no_control_and_no_half_character_is_shown(wild: str) -> None:
    shown = printable(wild)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
    assert len(shown) == len(wild)


@given(WILD, WILD)
def test_error_is_shown_without_what_drives_a_terminal(message: str, hint: str) -> None:
    shown = text.sentence(MynahError(message, hint))
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown.replace("\n", ""))


def test_error_keeps_its_lines() -> None:
    assert text.sentence(MynahError("Two are wrong:\n  one.\n  two.", "Mend them.")).count("\n") == 2


@given(st.lists(WILD, min_size=1, max_size=5))
def test_each_post_is_one_line(posts: list[str]) -> None:
    heading, *lines = text.said(Said("ada", "Ada", tuple(posts), 1))
    assert heading == "@ada (a bot imitating them):"
    assert len(lines) == len(posts)
    assert not any("\n" in line or "\r" in line for line in lines)


def test_data_table_is_the_published_one() -> None:
    lines = text.data_table(COUNTED)
    rows = [line.rsplit(maxsplit=1) for line in lines[2:6]]
    assert [(name.strip(), int(quantity.replace(",", ""))) for name, quantity in rows] == [
        ("Posts downloaded", 3247),
        ("Reposts", 34),
        ("Short posts", 501),
        ("Posts kept", 2712),
    ]
    assert lines[-1].strip() == "2,441 to learn from, the newest 271 held out to measure on. 250,000 characters."


def test_what_was_left_out_is_said() -> None:
    (*_, last) = text.data_table(COUNTED.model_copy(update={"duplicates": 12, "heldout": 0}))
    assert "12 said again" in last
    assert "held out" not in last


def test_step_says_loss_and_time_left() -> None:
    step = Step(step=20, of=400, loss=3.456, tokens_per_s=812.4, eta_s=125.2)
    assert text.step_line("ada", step) == "@ada step 20/400  loss 3.46  812 tokens/s  ETA 2:05"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (65, "1:05"), (7265, "2:01:05")])
def test_duration_is_short(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_models_are_one_line_each_with_what_went_wrong_below() -> None:
    failed = overview(
        handle="bea",
        state="failed",
        is_current=False,
        posts_kept=None,
        bits_per_byte_after=None,
        error_message="No\x1b.",
    )
    heading, ada, bea, error, legend = text.models_table([overview(), failed])
    assert heading.split()[:3] == ["handle", "version", "state"]
    assert ada.split() == ["@ada", "2*", "ready", "mynah", "2,712", "2.52", "→", "1.79", "2026-11-24", "13:05"]
    assert bea.split() == ["@bea", "2", "failed", "mynah", "–", "–", "2026-11-24", "13:05"]
    assert error.strip() == "No ."
    assert legend == "* speaks for its persona"
    assert text.models_table([failed]) == [heading, bea, error]


def test_no_models_say_how_to_make_one() -> None:
    assert text.models_table([]) == ["No clones yet. /clone @handle file=PATH makes one."]


def test_finding_has_its_advice_below() -> None:
    lines = text.findings_list(
        [Finding("disk", "warn", "3 GB are free", "Make room."), Finding("python", "ok", "3.11")]
    )
    assert [line.split() for line in lines] == [
        ["mind", "disk", "3", "GB", "are", "free"],
        ["→", "Make", "room."],
        ["ok", "python", "3.11"],
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("its log is /home/ann/data/logs/trainer-1.log.", "its log is trainer-1.log."),
        ("'/a/b/c.csv' and /a/b", "'c.csv' and b"),
        (
            "see https://example.org/a/b, /train status, and/or/else",
            "see https://example.org/a/b, /train status, and/or/else",
        ),
    ],
)
def test_strangers_are_not_shown_folders(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_what_changed_is_told_by_its_effect_after_how_long_posts_are() -> None:
    near = Estimate(value=0.004, low=0.0, high=0.01)
    effects = (("mentions", 0.953, 0.312, -0.6), ("words", 19.9, 21.6, 0.2), ("characters", 116.0, 127.0, 0.1))
    rare = Change(name="ellipses", before=0.001, now=0.009, effect=0.05)
    drift = DriftReport(
        old_posts=569,
        new_posts=368,
        changes=(*(Change(name=n, before=was, now=now, effect=by) for n, was, now, by in effects), rare),
        style_distance=near,
        style_distance_self=near,
        rising=("tests",),
        fading=(),
    )
    changed, words = figures.drift_lines(drift)
    assert changed.endswith("; characters 116 → 127; mentions 0.953 → 0.312; ellipses 0.001 → 0.009")
    assert words == "more of: tests"
