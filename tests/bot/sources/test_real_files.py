"""The counts that are known of real archives and files; see ../shared/data/README.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bot.errors import SourceError
from bot.sources import open_source
from storage import personas, posts
from storage.database import open_database

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real files of ../shared/data are not here")


@pytest.mark.parametrize(
    ("name", "handle", "count", "reposts"),
    [
        ("andreruffert", "andreruffert", 1_986, 643),
        ("mkommar", "mkommar", 2_001, 567),
        ("alrocar-earlier", "alrocar", 820, 9),
        ("alrocar-later", "alrocar", 1_223, 12),
        ("jacklance", "Jack_L_Lance", 515, 0),
        ("denchi", "LumenInferius", 22, 0),
        ("eroija", "EImamai", 15, 0),
    ],
)
def test_x_archive_gives_every_post(name: str, handle: str, count: int, reposts: int) -> None:
    source = open_source(DATA / "x-archives" / f"{name}.zip")
    found = list(source.posts)
    assert (source.kind, source.handle) == ("x_archive", handle)
    assert (len(found), sum(post.kind == "repost" for post in found)) == (count, reposts)
    assert all(post.created_at and post.author == handle for post in found)


def test_long_posts_are_whole() -> None:
    found = list(open_source(DATA / "x-archives" / "alrocar-later.zip").posts)
    assert max(len(post.text) for post in found) == 1_158
    assert not [post.id for post in found if post.kind != "repost" and post.text.endswith("…")]


@pytest.mark.parametrize(
    ("path", "kind", "handle", "count"),
    [
        ("trump-AlexanderEllis", "json", None, 30_378),
        ("dril-anti0ch/@dril.json", "json", "dril", 7_468),
        ("elonmusk-fourthbrain/elonmusk_tweets.csv", "csv", None, 12_562),
        ("fivethirtyeight-twitter-ratio/BarackObama.csv", "csv", "BarackObama", 3_207),
        ("fivethirtyeight-twitter-ratio/realDonaldTrump.csv", "csv", "realDonaldTrump", 3_232),
    ],
)
def test_public_figures_give_every_post(path: str, kind: str, handle: str | None, count: int) -> None:
    source = open_source(DATA / "public-figures" / path)
    found = list(source.posts)
    assert (source.kind, source.handle, len(found)) == (kind, handle, count)
    assert len({post.id for post in found}) == count


def test_mojibake_of_old_excel_is_undone() -> None:
    signs: Counter[str] = Counter()
    for name in ("BarackObama", "realDonaldTrump"):
        path = DATA / "public-figures" / "fivethirtyeight-twitter-ratio" / f"{name}.csv"
        signs.update("".join(post.text for post in open_source(path).posts))
    assert signs["…"] > 400
    assert signs["â"] + signs["€"] + signs["‰"] < 5


def test_folder_of_two_people_asks_whose() -> None:
    folder = DATA / "public-figures" / "fivethirtyeight-twitter-ratio"
    with pytest.raises(SourceError, match="several people"):
        list(open_source(folder).posts)
    assert len(list(open_source(folder, author="@barackobama").posts)) == 3_207


def test_newer_archive_adds_only_what_is_new(tmp_path: Path) -> None:
    with open_database(tmp_path / "mynah.db") as db:
        persona = personas.ensure(db, "alrocar")
        earlier = posts.add(db, persona.id, open_source(DATA / "x-archives" / "alrocar-earlier.zip").posts)
        later = posts.add(db, persona.id, open_source(DATA / "x-archives" / "alrocar-later.zip").posts)
        again = posts.add(db, persona.id, open_source(DATA / "x-archives" / "alrocar-later.zip").posts)
    assert (earlier.new, later.new, again.new, again.updated) == (820, 427, 0, 0)
