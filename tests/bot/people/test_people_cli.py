"""`mynah forget` and `mynah optout`, as people type them, on a clone that was really made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bot.people.test_forgetting import left
from tests.invented import invented_posts, write_csv
from tests.running import Home

MARK = "zanzibarquill"


@pytest.fixture
def quill(tiny_llama: Path, tmp_path: Path) -> Home:
    """@zanzibarquill was cloned, tracked offline, and has spoken."""
    home = Home(tmp_path / "data", tiny_llama, {"MYNAH_TRACKING__MODE": "offline"})
    posts = [f"{MARK} {post}" for post in invented_posts(90)]
    done = home.run("clone", str(write_csv(tmp_path / "posts.csv", MARK, posts)), "--seed", "7")
    assert done.returncode == 0, done.stderr
    done = home.run("run", typed=f"/say @{MARK} prompt=hello\n/consents\n/quit\n")
    assert f"@{MARK} (a bot imitating them):" in done.stdout, done.stdout + done.stderr
    assert "answers for its use" in done.stdout
    return home


@pytest.mark.timeout(300)
def test_a_clone_that_was_made_is_forgotten_to_the_last_byte(quill: Home) -> None:
    assert len(left(quill.data, MARK)) > 3
    done = quill.run("forget", f"@{MARK}", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted: @{MARK}: 90 posts, 1 clone with its weights" in done.stdout
    assert left(quill.data, MARK) == []
    out = quill.run("optout", f"@{MARK}", "--yes")
    assert "They are never cloned here again." in out.stdout, out.stderr
    refused = quill.run("clone", str(quill.data.parent / "posts.csv"))
    assert refused.returncode != 0 and "This person has opted out" in refused.stderr, refused.stderr
    assert left(quill.data, MARK) == []
