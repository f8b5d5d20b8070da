"""A Mastodon archive: what its owner posted for everybody, as they typed it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import SourceError, UnsafeFile
from bot.sources import Limits, open_source
from bot.sources.html_text import text_of
from storage.errors import MynahError
from tests.bot.sources.archives import write_folder, write_tar, write_zip

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
ME = "https://birds.example/users/ada"
ACTOR = json.dumps({"id": ME, "type": "Person", "preferredUsername": "ada", "name": "Ada :parrot:"})


def note(number: int, content: str, to: tuple[str, ...] = (PUBLIC,), **more: Any) -> dict[str, Any]:
    time = f"2024-05-0{number}T10:00:00Z"
    made = {"id": f"{ME}/statuses/{number}", "type": "Note", "published": time, "content": content, "to": list(to)}
    return {"id": f"{ME}/statuses/{number}/activity", "type": "Create", "actor": ME, "published": time} | {
        "object": made | {"cc": [f"{ME}/followers"], "inReplyTo": None} | more
    }


def boost(number: int) -> dict[str, Any]:
    return {"id": f"{ME}/statuses/{number}/activity", "type": "Announce", "actor": ME, "object": "https://o.example/1"}


def outbox(*activities: dict[str, Any]) -> str:
    return json.dumps(
        {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "outbox.json",
            "type": "OrderedCollection",
            "totalItems": len(activities),
            "orderedItems": list(activities),
        }
    )


ALL = outbox(
    note(1, "<p>Hello &amp; welcome</p><p>new<br />line</p>"),
    note(2, "<p>yes</p>", inReplyTo="https://o.example/2"),
    note(3, "<p>look</p>", quote="https://o.example/3"),
    boost(4),
    note(5, "<p>for followers</p>", to=(f"{ME}/followers",)),
    note(6, "<p>for one</p>", to=("https://o.example/bob",), cc=[]),
)


@pytest.mark.parametrize("form", ["tar.gz", "tar", "zip", "folder", "alone"])
def test_every_form_of_it_is_read(tmp_path: Path, form: str) -> None:
    files = {"media_attachments/a.png": "x" * 5_000, "./outbox.json": ALL, "likes.json": "{}", "actor.json": ACTOR}
    match form:
        case "tar.gz":
            path = write_tar(tmp_path / "archive.tar.gz", files)
        case "tar":
            path = write_tar(tmp_path / "archive.tar", files, "w")
        case "zip":
            path = write_zip(tmp_path / "archive.zip", {name.removeprefix("./"): text for name, text in files.items()})
        case "folder":
            path = write_folder(tmp_path / "archive", files)
        case _:
            path = tmp_path / "outbox.json"
            path.write_text(ALL)
    source = open_source(path)
    assert (source.kind, source.handle) == ("mastodon_archive", "ada@birds.example")
    assert source.display_name == (None if form == "alone" else "Ada :parrot:")
    assert [(post.kind, post.text) for post in source.posts] == [
        ("post", "Hello & welcome\n\nnew\nline"),
        ("reply", "yes"),
        ("quote", "look"),
        ("repost", "RT https://o.example/1"),
    ]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<p><span class="h-card"><a href="https://o/@bob" class="u-url mention">@<span>bob</span></a></span> hi</p>',
         "@bob hi"),
        ('<a href="https://a.example/long"><span class="invisible">https://</span><span class="ellipsis">a.example/l'
         '</span><span class="invisible">ong</span></a>', "https://a.example/long"),
        ('<p class="quote-inline">RE: <a href="x">https://x</a></p><p>mine</p>', "mine"),
        ("<p>a</p>\n<p>b</p><script>no()</script>", "a\n\nb"),
        ("a &lt;b&gt; &#128512;<br>c", "a <b> 😀\nc"),
        ("a <![if x]> b", "a <![if x]> b"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
    ],
)  # fmt: skip
def test_html_becomes_what_was_typed(html: str, text: str) -> None:
    assert text_of(html) == text


@given(st.text() | st.text("<>/!-[]&;#pbra \"'="))
def test_any_html_becomes_a_text(html: str) -> None:
    assert text_of(html) == text_of(html).strip()


def test_a_tar_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar.gz", {"outbox.json": ALL, "actor.json": ACTOR}).read_bytes()
    for part in (whole[:-40], whole[:100], b"\x1f\x8bno gzip at all"):
        (tmp_path / "cut.tar.gz").write_bytes(part)
        with pytest.raises(SourceError):
            open_source(tmp_path / "cut.tar.gz")


def test_hostile_tars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFile, match="unpack to more"):
        open_source(write_tar(tmp_path / "bomb.tar.gz", {"a.png": bytes(30_000_000), "outbox.json": ALL}))
    with pytest.raises(UnsafeFile, match="leads out"):
        open_source(write_tar(tmp_path / "out.tar.gz", {"../outbox.json": ALL}))
    with pytest.raises(UnsafeFile, match="more than 3 files"):
        many = write_tar(tmp_path / "many.tar.gz", {f"{number}.json": "{}" for number in range(4)})
        open_source(many, limits=Limits(max_members=3))
    with pytest.raises(UnsafeFile, match="names a file in more"):
        open_source(write_tar(tmp_path / "long.tar.gz", {"a" * 100_000: "x", "outbox.json": ALL}))


@given(data=st.binary(max_size=1_500), at=st.integers(0, 3_000))
def test_a_damaged_tar_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("tar")
    whole = write_tar(folder / "a.tar", {"outbox.json": ALL, "actor.json": ACTOR}, "w").read_bytes()
    (folder / "b.tar").write_bytes(whole[:at] + data + whole[at + len(data) :])
    with contextlib.suppress(MynahError):
        list(open_source(folder / "b.tar").posts)


wild = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["Create", "Announce", "Note", PUBLIC]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "object", "content", "to", "published", "id", "inReplyTo", "actor"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@given(st.lists(wild, max_size=5), wild)
def test_whatever_an_outbox_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, activities: list[Any], actor: Any
) -> None:
    files = {"outbox.json": outbox(*activities), "actor.json": json.dumps(actor)}
    path = write_zip(tmp_path_factory.mktemp("wild") / "a.zip", files)
    try:
        posts = list(open_source(path).posts)
    except MynahError:
        return
    assert all(post.text.strip() for post in posts)
