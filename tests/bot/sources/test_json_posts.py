"""JSON and JSONL in every shape in which people keep posts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NoPosts, SourceError, UnsafeFile
from bot.sources import Limits, open_source
from bot.sources.records import moment, storable
from storage.posts import Post
from tests.bot.sources.archives import posts_in, texts_in, write_folder, write_zip

ONE, TWO = {"id_str": "1", "text": "one"}, {"id_str": "2", "text": "two"}


def written(folder: Path, value: object, name: str = "posts.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "value",
    [
        [ONE, TWO],
        ["one", "two"],
        [{"tweet": ONE}, {"tweet": TWO}],
        {"tweets": [ONE, TWO]},
        {"tweets": ["one", "two"]},
        {"status": "success", "data": [ONE, TWO], "includes": {"users": [{"name": "a", "message": "b"}] * 3}},
        {"meta": {"text": "about"}, "page": {"of_ada": [ONE, TWO]}},
        {"1": {"text": "one", "entities": {"hashtags": [{"text": "tag"}] * 3}}, "2": {"text": "two"}},
        {"archive": {"1": {"text": "one"}, "2": {"text": "two"}}},
        [None, 5, {"likes": 3}, ONE, {"text": "  "}, TWO],
        "".join(json.dumps(each) + "\n" for each in (ONE, TWO)),
        "\n\n".join(json.dumps({"entities": {"hashtags": [{"text": "t"}]}, **each}, indent=1) for each in (ONE, TWO)),
        '\ufeff["one", "two"]',
    ],
)
def test_posts_are_found_in_any_shape(tmp_path: Path, value: object) -> None:
    assert texts_in(written(tmp_path, value)) == ["one", "two"]


@pytest.mark.parametrize("name", ["tweets", "of_ada"])
def test_posts_are_found_in_a_large_object(tmp_path: Path, name: str) -> None:
    users = [{"name": "x" * 100, "age": n} for n in range(20_000)]
    likes = [{"text": "liked"}] * 50
    value = {"users": users, "likes": likes, name: [{"text": "x" * 100}] * 10_000, "more": users}
    assert posts_in(written(tmp_path, value))[0].text == "x" * 100
    by_id = {"meta": {"text": "about"}, "users": users, "posts": {str(n): {"text": "x" * 100} for n in range(10_000)}}
    assert len(posts_in(written(tmp_path, by_id))) == 10_000


def test_key_of_a_map_is_the_id(tmp_path: Path) -> None:
    path = written(tmp_path, {"11": {"text": "one"}, "12": {"text": "two"}})
    assert [post.id for post in posts_in(path)] == ["11", "12"]


def test_json_is_told_without_its_name(tmp_path: Path) -> None:
    assert texts_in(written(tmp_path, [ONE], "download")) == ["one"]
    assert texts_in(written(tmp_path, "[[citation needed]]\nreally", "posts.txt")) == ["[[citation needed]]", "really"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"id": 5, "full_text": "t", "createdAt": 1700000000, "user": {"screen_name": "Ada"}},
            Post("json", "5", "Ada", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), "t"),
        ),
        (
            {"url": "https://x.com/ada/status/77", "content": "@bob t", "date": "2020-02-03T04:05:06+01:00"},
            Post("json", "77", "ada", datetime(2020, 2, 3, 3, 5, 6, tzinfo=UTC), "@bob t", "reply"),
        ),
        ({"id": "6", "Tweet": "t", "is_retweet": True}, Post("json", "6", "", None, "t", "repost")),
        ({"id": "6", "tweet": "t", "isRetweet": "f", "quoted_status_id": 5}, Post("json", "6", "", None, "t", "quote")),
        (
            {"id": "8", "text": "cut", "note_tweet": {"text": "whole"}, "referenced_tweets": [{"type": "replied_to"}]},
            Post("json", "8", "", None, "whole", "reply"),
        ),
        (
            {"id": "9", "text": "t", "username": "Ada Lovelace", "in_reply_to_text": "what?", "isReply": 1},
            Post("json", "9", "", None, "t", "reply", "what?"),
        ),
    ],
)
def test_fields_are_known_by_many_names(tmp_path: Path, record: dict[str, Any], expected: Post) -> None:
    assert posts_in(written(tmp_path, [record])) == [expected]


def test_posts_without_ids_keep_theirs_when_the_file_grows(tmp_path: Path) -> None:
    before = posts_in(written(tmp_path, ["gm", "gm", "one"]))
    after = posts_in(written(tmp_path, ["new", "gm", "gm", "one", "gm"]))
    assert len({post.id for post in before}) == 3
    assert len({post.id for post in after} - {post.id for post in before}) == 2


def test_post_that_comes_twice_is_read_once(tmp_path: Path) -> None:
    assert texts_in(written(tmp_path, [ONE, TWO, ONE])) == ["one", "two"]


def test_folder_or_zip_of_files_is_one_source(tmp_path: Path) -> None:
    files = {"2009.json": json.dumps([ONE]), "2010.json": json.dumps([TWO]), "SOURCE.txt": "about", "pack.json": "{}"}
    assert texts_in(write_folder(tmp_path / "years", files)) == ["one", "two"]
    assert texts_in(write_zip(tmp_path / "years.zip", files)) == ["one", "two"]


def test_several_people_need_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, [{**ONE, "user": "ada"}, {**TWO, "user": "bob"}])
    with pytest.raises(SourceError, match=r"several people \(ada, bob\)"):
        open_source(path)
    assert texts_in(path, author="@Bob") == ["two"]


def test_second_person_far_into_the_file_is_noticed(tmp_path: Path) -> None:
    many = [{"text": str(n), "user": "ada"} for n in range(2_000)] + [{"text": "x", "user": "bob"}]
    source = open_source(written(tmp_path, many))
    assert source.handle == "ada"
    with pytest.raises(SourceError, match="several people"):
        list(source.posts)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ('[{"text": "a secret', SourceError, "cut short"),
        ('[{"text": "a"}', SourceError, "cut short"),
        ('[{"text": "a", "n": nil}]', SourceError, "not valid JSON"),
        ('[{"text": "a"},]', SourceError, "not valid JSON"),
        ('[{"text": "a"}] secret', SourceError, "not valid JSON"),
        ("secret", SourceError, "does not hold a list or object"),
        ("<!DOCTYPE html><p>secret", SourceError, "web page"),
        ("[" * 100_000, UnsafeFile, "nested absurdly deep"),
        ('[{"text": ' + '{"a":' * 100_000, UnsafeFile, "nested absurdly deep"),
        ("[]", NoPosts, "no posts"),
        ("{}", NoPosts, "nothing in it looks like posts"),
        ('[{"likes": 1}]', NoPosts, "no posts"),
        ("", NoPosts, "empty"),
    ],
)
def test_what_is_no_file_of_posts_is_refused(tmp_path: Path, content: str, error: type[SourceError], says: str) -> None:
    with pytest.raises(error, match=says) as refusal:
        posts_in(written(tmp_path, content))
    assert type(refusal.value) is error
    assert refusal.value.hint
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_damage_after_good_posts_is_an_error_of_the_iterator(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, json.dumps([{"text": str(n)} for n in range(5_000)])[:-1]))
    with pytest.raises(SourceError, match="cut short"):
        list(source.posts)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "posts.json").write_bytes(b'[{"text": "caf\xe9"}]')
    with pytest.raises(SourceError, match="not valid JSON in UTF-8"):
        posts_in(tmp_path / "posts.json")


def test_utf16_with_its_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "posts.json").write_text(json.dumps(["naïve 🙂"], ensure_ascii=False), encoding="utf-16")
    assert texts_in(tmp_path / "posts.json") == ["naïve 🙂"]


@pytest.mark.parametrize("name", ["id", "created_at", "is_retweet", "text", "n"])
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-1e99999", "1" + "0" * 400])
def test_absurd_numbers_do_no_harm(tmp_path: Path, name: str, number: str) -> None:
    (post,) = posts_in(written(tmp_path, f'[{{"full_text": "t", "{name}": {number}}}]'))
    assert (post.text, post.created_at, post.id[:2]) == ("t", None, "h:")


def test_numbers_that_python_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a number of thousands of digits"):
        posts_in(written(tmp_path, f'[{{"text": "t", "n": 1{"0" * 5000}}}]'))


def test_limits_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, [{"text": "x" * 50}, {"text": "y"}, {"text": "z"}])
    for limits, says in (
        (Limits(max_posts=2), "more than 2 posts"),
        (Limits(max_text_chars=49), "50 characters; 49"),
        (Limits(max_file_bytes=10), "is the most that is read"),
    ):
        with pytest.raises(UnsafeFile, match=says):
            list(open_source(path, limits=limits).posts)


@pytest.mark.parametrize(
    ("written_time", "expected"),
    [
        ("Sat Nov 09 12:14:18 +0000 2024", datetime(2024, 11, 9, 12, 14, 18, tzinfo=UTC)),
        ("2024-11-09T12:14:18.000Z", datetime(2024, 11, 9, 12, 14, 18, tzinfo=UTC)),
        ("11/9/24 2:05", datetime(2024, 11, 9, 2, 5, tzinfo=UTC)),
        ("9 Nov 2024, 2:05 PM", datetime(2024, 11, 9, 14, 5, tzinfo=UTC)),
        ("1731154458000", datetime(2024, 11, 9, 12, 14, 18, tzinfo=UTC)),
        (1731154458, datetime(2024, 11, 9, 12, 14, 18, tzinfo=UTC)),
        ("12:14:18", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (True, None),
        (None, None),
    ],
)
def test_times_are_known_in_many_forms(written_time: object, expected: datetime | None) -> None:
    assert moment(written_time) == expected


@given(st.text() | st.integers() | st.floats())
def test_no_time_is_too_strange(value: object) -> None:
    time = moment(value)
    assert time is None or time.tzinfo is UTC


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "tweet", "id", "user", "date", "entities"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_any_json_gives_posts_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = written(tmp_path_factory.mktemp("json"), value)
    try:
        posts = posts_in(path)
    except SourceError as error:
        assert error.message and error.hint
    else:
        for post in posts:
            assert post.id.encode() and post.text.encode() and "\0" not in post.text


@given(st.lists(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs", "Cs", "Cc")), min_size=1), min_size=1))
def test_texts_come_back_from_json(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = written(tmp_path_factory.mktemp("json"), [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    expected = [storable(text) for text in texts if storable(text).strip()]
    found = texts_in(path) if expected else []
    assert found == expected
