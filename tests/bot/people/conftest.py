"""A data folder in which somebody speaks, with a mark in every post of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.invented import invented_posts, write_csv
from tests.running import Home

MARK = "zanzibarquill"


@pytest.fixture
def quill(tiny_llama: Path, tmp_path: Path) -> Home:
    """@zanzibarquill was cloned, tracked offline, has spoken, and has a card."""
    settings = {"MYNAH_TRACKING__MODE": "offline"}
    home = Home(tmp_path / "data", tiny_llama, settings)
    posts = [f"{MARK} {post}" for post in invented_posts(90)]
    done = home.run("clone", str(write_csv(tmp_path / "posts.csv", MARK, posts)), "--seed", "7")
    assert done.returncode == 0, done.stderr
    typed = f"/say @{MARK} prompt=hello\n/card @{MARK}\n/consents\n/quit\n"
    done = home.run("run", typed=typed)
    assert f"@{MARK} (a bot imitating them):" in done.stdout, done.stdout + done.stderr
    assert "answers for its use" in done.stdout
    return home
