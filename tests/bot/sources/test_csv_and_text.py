"""Tables and plain text, in the encodings in which people have them."""

from __future__ import annotations

import csv
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NoPosts, SourceError, UnsafeFile
from bot.sources import Limits, open_source
from bot.sources.records import storable
from storage.posts import Post
from tests.bot.sources.archives import posts_in, texts_in, write_zip
from tests.invented import invented_posts


def written(folder: Path, content: str | bytes, name: str = "posts.csv") -> Path:
    path = folder / name
    folder.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_are_known_by_name(tmp_path: Path) -> None:
    rows = (
        'created_at,text,url,user\n10/16/17 22:59,"a, ""b""\nc",https://twitter.com/BarackObama/status/92,BarackObama\n'
    )
    source = open_source(written(tmp_path, rows))
    assert (source.kind, source.handle) == ("csv", "BarackObama")
    time = datetime(2017, 10, 16, 22, 59, tzinfo=UTC)
    assert list(source.posts) == [Post("csv", "92", "BarackObama", time, 'a, "b"\nc')]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["posts.csv", "posts.tsv", "posts.txt", "posts"])
def test_delimiter_is_found(tmp_path: Path, delimiter: str, name: str) -> None:
    rows = f"id{delimiter}Tweet Text\r\n1{delimiter}one\r\n2{delimiter}two\r\n"
    assert [(post.id, post.text) for post in posts_in(written(tmp_path, rows, name))] == [("1", "one"), ("2", "two")]


def test_one_column_needs_no_name(tmp_path: Path) -> None:
    assert texts_in(written(tmp_path, 'one\n"two, with\na line"\n\nthree')) == ["one", "two, with\na line", "three"]
    assert texts_in(written(tmp_path, "tweets\none\ntwo\n")) == ["one", "two"]


def test_rounded_ids_are_not_ids(tmp_path: Path) -> None:
    rows = "id,text\n9.2E+17,one\n9.2E+17,two\n920061541986250752.0,three\n"
    assert [post.id[:2] for post in posts_in(written(tmp_path, rows))] == ["h:", "h:", "h:"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("when,what\n1,secret\n", "it has when, what"),
        ("1,secret words\n2,other words\n", "rows of 2 to 2 columns"),
        ("secret, a line\nwith, many, commas\n", "rows of 2 to 3 columns"),
        ('id,text\n1,"secret\n', "ends inside a quoted field"),
        ('id,text\n1,"secret' + "x" * 200_000, "never closed"),
        (b"id,text\n1,\x89PNG\0secret", "not a text file"),
    ],
)
def test_unclear_tables_are_refused(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says) as refusal:
        posts_in(written(tmp_path, content))
    shown = f"{refusal.value} {refusal.value.hint}"
    assert "secret" not in shown
    assert "never closed" in shown or refusal.value.hint


def test_text_is_one_post_a_line(tmp_path: Path) -> None:
    found = posts_in(written(tmp_path, "one, two\r\n\r\n  three \nRT @bob: four\n@bob five", "posts.txt"))
    assert [(post.text, post.kind) for post in found] == [
        ("one, two", "post"), ("three", "post"), ("RT @bob: four", "repost"), ("@bob five", "reply"),
    ]  # fmt: skip


def test_text_in_a_zip_or_folder_is_posts_where_it_looks_like_them(tmp_path: Path) -> None:
    posts, wrapped = invented_posts(60), textwrap.wrap(" ".join(invented_posts(60)), 70)
    assert texts_in(write_zip(tmp_path / "posts.zip", {"ada/all.txt": "\n".join(posts), "ada/me.jpg": ""})) == posts
    files = {"LICENSE.txt": "\n".join(wrapped), "notes.txt": "buy milk\ncall home\n"}
    for name, text in files.items():
        for handed in (write_zip(tmp_path / f"{name}.zip", {name: text}), written(tmp_path / "f", text, name).parent):
            with pytest.raises(NoPosts, match=f"'{name}' in {handed.name} does not look like posts, one a line"):
                open_source(handed)
        assert texts_in(tmp_path / "f" / name) == text.splitlines()  # who names it says what it is
        (tmp_path / "f" / name).unlink()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "mac_roman"])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str) -> None:
    posts = ["El café está aquí, señor", "“Smart” quotes – don’t fail…", "Größe und Übermut"]
    assert texts_in(written(tmp_path, "\n".join(posts).encode(encoding), "posts.txt")) == posts


def test_mojibake_is_undone(tmp_path: Path) -> None:
    posts = ["don’t – really – say so…", "“fine", "🇺🇸 first"]
    read_wrongly = "\n".join(posts).encode().decode("cp1252")
    saved_by_old_excel = read_wrongly.replace("¦", "_").replace("ð", "_").encode("mac_roman")
    assert texts_in(written(tmp_path, saved_by_old_excel, "posts.txt")) == posts
    without_flag = saved_by_old_excel.split(b"\n_")[0]
    saved_twice = without_flag.decode("cp1252").encode("mac_roman")
    assert texts_in(written(tmp_path, saved_twice, "posts.txt")) == posts[:2]


@pytest.mark.parametrize("content", [bytes(range(128, 256)) * 3, "naïve café\n".encode() * 20 + b"\xff\n"])
def test_unsure_encoding_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match="UTF-8") as refusal:
        posts_in(written(tmp_path, content, "posts.txt"))
    assert "Save it as UTF-8" in refusal.value.hint


def test_endless_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFile, match="more than 1,000 characters"):
        list(open_source(written(tmp_path, "x" * 5_000, "a.txt"), limits=Limits(max_record_bytes=1_000)).posts)


def test_blank_file_holds_no_posts(tmp_path: Path) -> None:
    for name in ("a.txt", "a.csv"):
        with pytest.raises(NoPosts):
            posts_in(written(tmp_path, "\n \n\n", name))


def test_spreadsheet_is_told_to_be_saved(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="spreadsheet"):
        open_source(write_zip(tmp_path / "posts.xlsx", {"xl/workbook.xml": "<a/>", "[Content_Types].xml": "<a/>"}))


def test_control_characters_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "posts.json").write_text('["a\\u0000b\\u001b[31m\\rc\\ud800"]')
    (text,) = texts_in(tmp_path / "posts.json")
    assert text[:-1] == "ab[31m\nc"


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1, max_size=20))
def test_texts_come_back_from_csv(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "posts.csv"
    rows = [(storable(name), storable(text)) for name, text in rows]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("likes", "text"), *rows])
    expected = [text for _, text in rows if text.strip()]
    assert (texts_in(path) if expected else []) == expected


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["a.csv", "a.txt", "a.json", "a.zip", "a.js"]))
def test_any_bytes_give_posts_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = written(tmp_path_factory.mktemp("bytes"), content, name)
    try:
        posts = posts_in(path)
    except SourceError as error:
        assert error.message and error.hint
    else:
        assert posts and all(post.text.encode() and "\0" not in post.text for post in posts)
