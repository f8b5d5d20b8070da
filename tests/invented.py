"""Posts that nobody wrote, in the files that people hand over: as many as a test needs, the same every time."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

_WHO = (
    "My neighbour",
    "Everybody's librarian",
    "Some gardener",
    "Our ferryman",
    "Yesterday's baker",
    "Somebody's aunt",
)
_DID = ("painted", "borrowed", "argued with", "repaired", "serenaded", "misplaced", "photographed")
_WHAT = (
    "a lighthouse",
    "the slow bicycle",
    "nine umbrellas",
    "an honest map",
    "the moon's reflection",
    "a copper kettle",
)
_WHERE = (
    "behind the harbour",
    "under the railway bridge",
    "at the flea market",
    "beside a frozen canal",
    "on platform six",
)
_FIRST = datetime(2024, 3, 1, 8, tzinfo=UTC)


def invented_posts(count: int, seed: int = 1) -> list[str]:
    """Sentences of about 90 characters, each different; no two share eight words in a row."""
    draw = random.Random(seed)
    return [
        f"{draw.choice(_WHO)} {draw.choice(_DID)} {draw.choice(_WHAT)} {number} times {draw.choice(_WHERE)}, "
        f"on day {number} of this summer, which is number {seed}."
        for number in range(1, count + 1)
    ]


def write_csv(path: Path, author: str, posts: list[str]) -> Path:
    """A table with ids, times and an author, oldest first; no author leaves the column out."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "created_at", "text", *(["username"] if author else [])])
        for number, post in enumerate(posts):
            when = (_FIRST + timedelta(hours=number)).isoformat()
            table.writerow([str(10_000 + number), when, post, *([author] if author else [])])
    return path


def write_json(path: Path, author: str, posts: list[str]) -> Path:
    """A list of objects, as exporters write it."""
    rows = [
        {
            "id": str(10_000 + number),
            "created_at": (_FIRST + timedelta(hours=number)).isoformat(),
            "text": post,
            "user": {"screen_name": author},
        }
        for number, post in enumerate(posts)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
