"""`mynah forget` and `mynah optout`, as people type them, on a clone that was really made."""

from __future__ import annotations

from tests.bot.people.conftest import MARK
from tests.bot.people.test_forgetting import left
from tests.running import Home


def test_a_clone_that_was_made_is_forgotten_to_the_last_byte(quill: Home) -> None:
    assert len(left(quill.data, MARK)) > 3
    unsure = quill.run("forget", f"@{MARK}", typed="n\n")
    assert unsure.stdout.strip().endswith("Nothing was deleted."), unsure.stdout + unsure.stderr
    done = quill.run("forget", f"@{MARK}", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted: @{MARK}: 90 posts, 1 clones with their weights" in done.stdout
    assert left(quill.data, MARK) == []
    again = quill.run("forget", f"@{MARK}", "--yes")
    assert again.returncode != 0 and "There is no persona" in again.stderr
    out = quill.run("optout", f"@{MARK}", "--yes")
    assert "They are never cloned here again." in out.stdout, out.stderr
    refused = quill.run("clone", f"@{MARK}", str(quill.data.parent / "posts.csv"))
    assert refused.returncode != 0 and "This person has opted out" in refused.stderr, refused.stderr
    assert left(quill.data, MARK) == []
    assert "/optout deletes all that is yours" in quill.run("privacy").stdout
