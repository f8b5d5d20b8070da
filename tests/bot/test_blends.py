"""A blend of two people through the real trainer: their shares, a row for each, and a voice of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.data_folder import DataFolder
from storage import blends, clones, personas, posts
from storage.blends import PersonHeard
from storage.database import open_database
from storage.posts import Post
from tests.invented import invented_posts
from tests.running import Home

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Blended:
    home: Home
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def blended(ada_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Blended:
    """`mynah blend` of @ada, who speaks herself, and @bea, of whom there are only posts."""
    home = ada_home.copy(tmp_path_factory.mktemp("blend") / "data", MYNAH_QUALITY__SAMPLES="0")
    db = open_database(DataFolder(home.data).database)
    bea = personas.ensure(db, "bea", "Bea <b>| the Second")
    posts.add(db, bea.id, [Post("csv", str(n), "bea", None, text) for n, text in enumerate(invented_posts(70, 2))])
    db.close()
    return Blended(home, home.run("blend", "@ada", "BEA", "--weights", "70", "30", "--seed", "1"))


def people_heard(home: Home) -> dict[str, PersonHeard]:
    with home.database() as db:
        persona = personas.find(db, "ada-bea")
        assert persona is not None
        assert persona.current_clone_id is not None
        return {row.handle: row for row in blends.people(db, persona.current_clone_id)}


def test_blend_is_learned_with_a_row_for_each_person(blended: Blended) -> None:
    done = blended.done
    assert (done.returncode, done.stderr) == (0, "")
    heard = people_heard(blended.home)
    for line in (
        "  Posts downloaded             160",
        f"  @ada: 90 kept of 90, {heard['ada'].share:.1%} of the characters heard",
        f"  @bea: 70 kept of 70, {heard['bea'].share:.1%} of the characters heard",
        "@ada-bea is ready.",
    ):
        assert line in done.stdout.splitlines()


def test_each_is_heard_as_much_as_was_asked(blended: Blended) -> None:
    heard = people_heard(blended.home)
    assert heard["ada"].share == pytest.approx(0.7, abs=0.01)
    assert heard["bea"].share == pytest.approx(0.3, abs=0.01)
    with blended.home.database() as db:
        persona = personas.find(db, "ada-bea")
        assert persona is not None
        assert {part.handle: part.share for part in blends.parts(db, persona.id)} == {"ada": 0.7, "bea": 0.3}
        (clone,) = clones.of_persona(db, persona.id)
    assert clone.counts is not None
    assert (clone.counts.kept, clone.counts.characters) == (160, sum(row.characters for row in heard.values()))


def test_blend_speaks_like_nobody_else_and_its_people_go_on_as_they_were(blended: Blended, ada: Home) -> None:
    say = "/say @ada seed=1\n/say @ada-bea seed=1\n"
    before, now = (home.run("run", typed=say).stdout for home in (ada, blended.home))
    spoken = now.split("(a bot imitating them):\n")
    assert len(spoken) == 3
    assert spoken[1].splitlines()[0] != spoken[2].splitlines()[0]
    assert spoken[1].splitlines()[0] in before
    assert "@ada-bea (a bot imitating them):" in now


def test_card_of_a_blend_has_a_row_for_each_person(blended: Blended) -> None:
    done = blended.home.run("card", "ada-bea")
    assert (done.returncode, done.stderr) == (0, "")
    readme = (Path(done.stdout.strip()).parent / "README.md").read_text("utf-8")
    heard = people_heard(blended.home)
    for row in (
        "| Data | @ada | @bea |",
        "| Posts kept | 90 | 70 |",
        f"| Characters kept | {heard['ada'].characters:,} | {heard['bea'].characters:,} |",
        f"| Share of what was heard, by characters | {heard['ada'].share:.1%} | {heard['bea'].share:.1%} |",
    ):
        assert row in readme.splitlines()
    assert "<b>| the Second" not in readme


def test_blend_that_cannot_be_is_refused_in_a_sentence(blended: Blended) -> None:
    done = blended.home.run("blend", "ada", "bea", "--weights", "nan", "40")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mynah: 2 people and 2 weights. Each person has one weight above 0: weights 60 40\n"
