"""Bluesky: the repository that its app exports, and records as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import SourceError, UnsafeFile
from bot.sources import Limits, open_source
from storage.errors import MynahError
from tests.bot.sources.archives import car, car_block, texts_in, varint, write_folder, write_zip

TIME = "2024-06-01T08:30:00.123Z"


def post(text: str, **more: Any) -> dict[str, Any]:
    return {"$type": "app.bsky.feed.post", "text": text, "createdAt": TIME, "langs": ["en"], **more}


RECORDS: tuple[dict[str, Any], ...] = (
    {"did": "did:plc:1", "rev": "3k", "version": 3, "prev": None, "sig": b"\x00\xff"},
    {"$type": "app.bsky.actor.profile", "displayName": "Ada  L."},
    post("sky is up"),
    post("yes", reply={"parent": {"uri": "at://x", "cid": "y"}}),
    post("look", embed={"$type": "app.bsky.embed.record", "record": {"uri": "at://x"}}),
    post(" "),
    {"$type": "app.bsky.feed.repost", "subject": {"uri": "at://did:plc:2/app.bsky.feed.post/3"}, "createdAt": TIME},
    {"$type": "app.bsky.feed.like", "subject": {"uri": "at://x"}, "createdAt": TIME},
)
EXPECTED = [
    ("post", "sky is up"),
    ("reply", "yes"),
    ("quote", "look"),
    ("repost", "RT at://did:plc:2/app.bsky.feed.post/3"),
]


def test_a_repository_is_read(tmp_path: Path) -> None:
    (tmp_path / "repo.car").write_bytes(car(*RECORDS))
    source = open_source(tmp_path / "repo.car", author="@ada.bsky.social")
    posts = list(source.posts)
    assert (source.kind, source.handle, source.display_name) == ("bluesky", "ada.bsky.social", "Ada L.")
    assert [(each.kind, each.text) for each in posts] == EXPECTED
    assert posts[0].id.startswith("bafyrei") and posts[0].created_at is not None
    zipped = write_zip(tmp_path / "repo.zip", {"repo.car": car(*RECORDS), "readme.txt": "hi"})
    assert texts_in(zipped) == [text for _, text in EXPECTED]
    (tmp_path / "repo").write_bytes(car(*RECORDS))  # by what it is, not by its name
    assert open_source(tmp_path / "repo").handle is None


def test_records_as_json_are_read(tmp_path: Path) -> None:
    records = [record for record in RECORDS if "$type" in record]
    listed = [{"uri": f"at://a/b/{number}", "cid": "c", "value": record} for number, record in enumerate(records)]
    for name, text in {
        "answer.json": json.dumps({"records": listed, "cursor": "x"}),
        "list.json": json.dumps(records),
        "lines.json": "\n".join(map(json.dumps, records)),
    }.items():
        (tmp_path / name).write_text(text)
        assert [(each.kind, each.text) for each in open_source(tmp_path / name).posts] == EXPECTED, name
    files = {
        "ada/app.bsky.actor.profile/self.json": json.dumps(RECORDS[1]),
        "ada/app.bsky.feed.post/3kabc.json": json.dumps(RECORDS[2]),
        "ada/app.bsky.feed.like/3kdef.json": json.dumps(RECORDS[7]),
    }
    source = open_source(write_folder(tmp_path / "records", files))
    assert [each.text for each in source.posts] == ["sky is up"]
    assert source.display_name == "Ada L."


def test_a_damaged_repository_is_refused(tmp_path: Path) -> None:
    whole = car(*RECORDS)
    changed = whole.replace(b"sky is up", b"sky is at")
    for content in (whole[:-3], changed, whole + b"\xff" * 12, whole + b"\x00"):
        (tmp_path / "repo.car").write_bytes(content)
        with pytest.raises(SourceError, match="damaged"):
            list(open_source(tmp_path / "repo.car").posts)


def test_a_block_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "repo.car").write_bytes(car(post("hi")) + varint(1 << 40) + b"x")
    with pytest.raises(UnsafeFile, match="is the most that is read"):
        list(open_source(tmp_path / "repo.car").posts)
    (tmp_path / "deep.car").write_bytes(car(post("hi")) + _block(b"\x81" * 100_000 + b"\x01"))
    with pytest.raises(SourceError, match="damaged"):
        list(open_source(tmp_path / "deep.car").posts)
    (tmp_path / "many.car").write_bytes(car(*(post(f"post {number}") for number in range(5))))
    with pytest.raises(UnsafeFile, match="more than 3 posts"):
        list(open_source(tmp_path / "many.car", limits=Limits(max_posts=3)).posts)


def _block(content: bytes) -> bytes:
    block = b"\x01\x71\x12\x20" + hashlib.sha256(content).digest() + content
    return varint(len(block)) + block


@given(data=st.binary(max_size=200), at=st.integers(0, 900))
def test_any_bytes_in_a_repository_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int
) -> None:
    whole = car(*RECORDS)
    path = tmp_path_factory.mktemp("car") / "repo.car"
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    with contextlib.suppress(MynahError):
        list(open_source(path).posts)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["$type", "text", "createdAt", "embed", "reply", "subject"]), values))
def test_whatever_a_record_says_is_read(tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]) -> None:
    record = {"$type": "app.bsky.feed.post"} | record
    assert libipld.decode_dag_cbor(libipld.encode_dag_cbor(record)) == record
    path = tmp_path_factory.mktemp("car") / "repo.car"
    path.write_bytes(car(post("one")) + car_block(record))
    posts = list(open_source(path).posts)
    assert posts[0].text == "one" and all(each.text.strip() for each in posts)
