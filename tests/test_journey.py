"""From a file of posts to a voice, as somebody with a script meets it; and again the next day."""

from __future__ import annotations

import re
from pathlib import Path

from tests.invented import invented_posts, write_csv
from tests.running import Home, Mynah


def test_posts_in_a_voice_out(tiny_llama: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "data", tiny_llama)
    posts = invented_posts(100)
    file = write_csv(tmp_path / "posts of ada.csv", "ada", ["RT @bea: all of it", "Too short", *posts])

    with Mynah.on_pipes(home) as mynah:
        mynah.wait_for(r"Ready to talk: @\w+")
        mynah.type(f"/clone @ada file='{file}'\n/clnoe @ada\n/say @ada prompt=\"My dream is\" count=5\n/quit\n")
        mynah.wait_for("@ada: 102 posts are new, 0 changed, 0 known already.")
        table = mynah.wait_for(
            r"Posts downloaded +(\d+)\n +Reposts +(\d+)\n +Short posts +(\d+)\n +Posts kept +(\d+)\n"
            r" +90 to learn from, the newest 10 held out"
        )
        assert [int(quantity) for quantity in table.groups()] == [102, 1, 1, 100]
        mynah.wait_for(r"@ada step \d+/\d+  loss \d+\.\d\d  \d+ tokens/s  ETA \d+:\d\d")
        mynah.wait_for(r"@ada practises: My dream is")
        before = float(mynah.wait_for(r"held-out bits per byte before training (\d\.\d{3})")[1])
        after = float(mynah.wait_for(r"held-out bits per byte after training (\d\.\d{3})")[1])
        assert after < before
        mynah.wait_for("@ada is ready.")
        mynah.wait_for(re.escape("@ada (a bot imitating them):"))

        assert mynah.ended() == 1  # for the command that was refused; the rest was done
        assert mynah.errors == "There is no command /clnoe. Did you mean /clone? /help lists them.\n"
        assert mynah.left_behind(0) == []
        said = mynah.output.split("(a bot imitating them):\n")[1].splitlines()
    assert len(set(said)) == 5
    assert all(line.startswith("My dream is") for line in said)
    assert_no_post_is_in_a_log(home, posts)

    next_day = home.run("run", typed='/models\n/say @ada prompt="My dream is" count=5')  # and the pipe ends
    assert (next_day.returncode, next_day.stderr) == (0, "")
    assert "Ready to talk: @ada, @" in next_day.stdout
    assert "training" not in next_day.stdout
    assert len([line for line in next_day.stdout.splitlines() if line.startswith("My dream is")]) == 5


def assert_no_post_is_in_a_log(home: Home, posts: list[str]) -> None:
    """Nor in anything else of the data folder but the database."""
    kept = [path for path in home.data.rglob("*") if path.is_file() and not path.name.startswith("mynah.db")]
    assert kept
    for path in kept:
        content = path.read_bytes()
        assert not any(post.encode() in content for post in posts), path
