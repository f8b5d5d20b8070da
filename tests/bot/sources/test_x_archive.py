"""Every layout of an X archive, and what its posts become."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.errors import NoPosts, SourceError
from bot.sources import open_source
from storage.posts import Post
from tests.bot.sources.archives import (
    account_js,
    assigned,
    posts_in,
    texts_in,
    tweet,
    tweets_js,
    write_folder,
    write_zip,
)

FILES = {"data/account.js": account_js(), "data/tweets.js": tweets_js(tweet("1", "hello"), tweet("2", "world"))}
LONG = "A post that is so long that X cuts it off in tweets.js & keeps the whole of it in note-tweet.js, as it does."


def test_post_is_read_as_published(tmp_path: Path) -> None:
    source = open_source(write_zip(tmp_path / "x.zip", {**FILES, "data/tweets.js": tweets_js(tweet("7", "a &amp; b"))}))
    assert (source.kind, source.handle, source.display_name) == ("x_archive", "ada", "Ada L.")
    assert list(source.posts) == [
        Post("x_archive", "7", "ada", datetime(2024, 11, 9, 12, 14, 18, tzinfo=UTC), "a &amp; b", "post", None)
    ]


@pytest.mark.parametrize("top", ["", "twitter-2024-11-09-abc/"])
def test_zip_may_have_one_folder_around_all(tmp_path: Path, top: str) -> None:
    archive = write_zip(tmp_path / "x.zip", {top + name: content for name, content in FILES.items()})
    assert open_source(archive).handle == "ada"
    assert texts_in(archive) == ["hello", "world"]


@pytest.mark.parametrize("inner", ["", "data", "data/tweets.js"])
def test_unpacked_archive_is_read_at_any_level(tmp_path: Path, inner: str) -> None:
    folder = write_folder(tmp_path / "archive", FILES)
    assert texts_in(folder / inner) == ["hello", "world"]


def test_parts_are_read_in_order(tmp_path: Path) -> None:
    parts = {f"data/tweets-part{n}.js": tweets_js(tweet(str(n + 10), f"part {n}"), part=n) for n in (1, 2, 10)}
    assert texts_in(write_zip(tmp_path / "x.zip", {**FILES, **parts})) == [
        "hello", "world", "part 1", "part 2", "part 10",
    ]  # fmt: skip


def test_older_layouts_are_read(tmp_path: Path) -> None:
    of_2019 = {"tweet.js": assigned("window.YTD.tweet.part0", [tweet("1", "from 2019")["tweet"]])}
    of_2014 = {
        "data/js/tweets/2014_01.js": assigned(
            "Grailbird.data.tweets_2014_01",
            [{"id_str": "3", "text": "from 2014", "created_at": "2014-01-15 12:00:00 +0000"}],
        )
    }
    assert texts_in(write_zip(tmp_path / "2019.zip", of_2019)) == ["from 2019"]
    (post,) = posts_in(write_folder(tmp_path / "2014", of_2014))
    assert (post.text, post.created_at) == ("from 2014", datetime(2014, 1, 15, 12, tzinfo=UTC))


def test_community_posts_are_read_and_deleted_ones_are_not(tmp_path: Path) -> None:
    more = {
        "data/community-tweet.js": assigned("window.YTD.community_tweet.part0", [tweet("3", "to a community")]),
        "data/deleted-tweets.js": assigned("window.YTD.deleted_tweets.part0", [tweet("4", "regretted")]),
    }
    assert set(texts_in(write_zip(tmp_path / "x.zip", {**FILES, **more}))) == {"hello", "world", "to a community"}


@pytest.mark.parametrize(
    ("text", "fields", "kind"),
    [
        ("RT @bob: hi", {"in_reply_to_status_id": "1"}, "repost"),
        ("@bob hi", {"in_reply_to_user_id_str": "5"}, "reply"),
        ("@bob, whom I do not answer", {}, "post"),
        ("look", {"entities": {"urls": [{"expanded_url": "https://twitter.com/bob/status/5"}]}}, "quote"),
        ("me", {"entities": {"urls": [{"expanded_url": "https://x.com/i/web/status/9"}]}}, "post"),
        ("plain", {"entities": {"urls": [{"expanded_url": "https://example.org/status/5"}]}}, "post"),
    ],
)
def test_kind_of_post_is_told(tmp_path: Path, text: str, fields: dict[str, Any], kind: str) -> None:
    (post,) = posts_in(write_zip(tmp_path / "x.zip", {"data/tweets.js": tweets_js(tweet("9", text, **fields))}))
    assert post.kind == kind


def test_long_post_replaces_its_beginning_once(tmp_path: Path) -> None:
    note = {"noteTweet": {"createdAt": "2024-11-09T12:14:19.000Z", "core": {"text": LONG}}}
    cut = "@bob " + LONG[:80].replace("&", "&amp;") + "… https://t.co/abc"
    files = {
        "data/tweets.js": tweets_js(tweet("1", cut), tweet("2", cut), tweet("3", "unfinished thoughts…")),
        "data/note-tweet.js": assigned("window.YTD.note_tweet.part0", [note]),
    }
    whole = "@bob " + LONG.replace("&", "&amp;")
    assert texts_in(write_zip(tmp_path / "x.zip", files)) == [whole, cut, "unfinished thoughts…"]


def test_owner_is_found_in_the_manifest(tmp_path: Path) -> None:
    manifest = assigned("window.__THAR_CONFIG", {"userInfo": {"userName": "ada", "displayName": "Ada\nL."}})
    files = {"data/tweets.js": FILES["data/tweets.js"], "data/manifest.js": manifest}
    source = open_source(write_zip(tmp_path / "x.zip", files))
    assert (source.handle, source.display_name) == ("ada", "Ada L.")


@pytest.mark.parametrize(("handles", "found"), [(["ada", "ada"], "ada"), (["ada", "bob"], None), (["ada"], None)])
def test_owner_is_told_by_pictures_only_where_sure(tmp_path: Path, handles: list[str], found: str | None) -> None:
    tweets = []
    for number, handle in enumerate(handles):
        own = {"expanded_url": f"https://twitter.com/{handle}/status/{number}/photo/1"}
        other = {"expanded_url": "https://twitter.com/eve/status/99/photo/1"}
        tweets.append(tweet(str(number), "see", entities={"media": [own, other]}))
    source = open_source(write_zip(tmp_path / "x.zip", {"data/tweets.js": tweets_js(*tweets)}))
    assert source.handle == found


def test_unknown_owner_is_whom_the_caller_names(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"data/tweets.js": FILES["data/tweets.js"]})
    source = open_source(archive, author="@Ada")
    assert (source.handle, {post.author for post in source.posts}) == ("Ada", {"Ada"})


def test_two_archives_in_one_zip_are_refused(tmp_path: Path) -> None:
    files = {f"{name}/data/tweets.js": FILES["data/tweets.js"] for name in ("old", "new")}
    with pytest.raises(SourceError, match="2 archives here, in 'new/data' and 'old/data'"):
        open_source(write_zip(tmp_path / "x.zip", files))


@pytest.mark.parametrize("files", [{"data/account.js": account_js()}, {**FILES, "data/tweets.js": tweets_js()}])
def test_archive_without_posts_says_so(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(NoPosts):
        open_source(write_zip(tmp_path / "x.zip", files))


def test_edited_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not begin as a file of an X archive"):
        open_source(write_zip(tmp_path / "x.zip", {**FILES, "data/tweets.js": "[]"}))
