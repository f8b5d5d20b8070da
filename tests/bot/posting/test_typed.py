"""`/outbox` and `/admin` as they are typed, in a Mynah of its own."""

from __future__ import annotations

import json

from tests.running import Home


def test_posting_is_paused_and_resumed_by_what_is_typed(home: Home) -> None:
    orders = ("outbox", "admin pause holidays", "admin pause", "admin", "admin resume", "admin resume", "admin fly")
    typed = "".join(f"/{order}\n" for order in (*orders, "outbox check"))
    done = home.run("run", typed=typed)
    lines = done.stdout.splitlines()
    at = lines.index("Nothing waits in the outbox.")
    assert lines[at + 1 : at + 3] == ["Posting is paused. /admin resume goes on.", "Posting is paused already."]
    assert "Stopped: all posting (holidays)" in lines
    assert lines[-2:] == ["No longer stopped: all posting (holidays)", "Nothing was stopped."]
    assert "/admin cannot 'fly'" in done.stderr
    assert "No account on X is connected." in done.stderr
    assert done.returncode == 1


def test_stats_are_rows_for_programs(home: Home) -> None:
    done = home.run("admin", "stats", "--json")
    (stats,) = json.loads(done.stdout)
    assert (stats["posts"], stats["stops"], done.returncode) == ({}, [], 0)
