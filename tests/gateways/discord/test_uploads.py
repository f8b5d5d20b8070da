"""A file that somebody attaches lies under the name that they know it by, wherever that name would lead."""

from __future__ import annotations

import pytest

from bot.gateways.discord.uploads import harmless


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("my posts (1).zip", "my posts (1).zip"),
        ("größe.csv", "größe.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\posts.csv", "C__posts.csv"),
        ("..", "file"),
        ("", "file"),
        (".hidden", "hidden"),
        ("a\0b\n.zip", "a_b_.zip"),
        ("x" * 300 + ".tar.gz", "x" * 53 + ".tar.gz"),
    ],
)
def test_a_name_leads_nowhere_and_keeps_its_end(name: str, kept: str) -> None:
    assert harmless(name) == kept
