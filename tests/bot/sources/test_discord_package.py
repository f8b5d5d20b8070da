"""Discord's data package: whatever its folders are called, its owner's messages on servers are what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NoPosts, SourceError, UnsafeFile
from bot.sources import Limits, open_source
from storage.errors import MynahError
from tests.bot.sources.archives import write_folder, write_zip

CHANNEL, ANOTHER, PRIVATE = "1234567890123456", "12345678901234567890", "7777777777777777777"
USER = json.dumps({"id": "1", "username": "ada", "global_name": "Ada L.", "relationships": [{"id": "2"}]})
ON_A_SERVER = json.dumps({"id": CHANNEL, "type": "GUILD_TEXT", "name": "general", "guild": {"id": "1", "name": "G"}})
CONVERSATION = json.dumps({"id": PRIVATE, "type": "DM", "recipients": ["1", "2"]})


def messages(*texts: str, first: int = 469641859543728149) -> str:
    return json.dumps(
        [
            {"ID": first + number, "Timestamp": "2018-07-19 23:09:04", "Contents": text, "Attachments": ""}
            for number, text in enumerate(texts)
        ]
    )


def package(folder: str = "Messages", account: str = "Account", **more: str) -> dict[str, str]:
    return {
        f"{account}/user.json": USER,
        f"{folder}/index.json": json.dumps({CHANNEL: "general", PRIVATE: None}),
        f"{folder}/c{CHANNEL}/channel.json": ON_A_SERVER,
        f"{folder}/c{CHANNEL}/messages.json": messages("on a server"),
        f"{folder}/c{PRIVATE}/channel.json": CONVERSATION,
        f"{folder}/c{PRIVATE}/messages.json": messages("in private", first=500000000000000000),
        **more,
    }


@pytest.mark.parametrize("folder", ["Messages", "messages", "Nachrichten", "メッセージ", "package/Messages"])
def test_folders_may_be_called_anything(tmp_path: Path, folder: str) -> None:
    account = "package/Compte" if "/" in folder else "Compte"
    source = open_source(write_zip(tmp_path / "package.zip", package(folder, account)))
    (post,) = source.posts
    assert (source.kind, source.handle, source.display_name) == ("discord_package", "ada", "Ada L.")
    assert (post.id, post.text, post.kind, post.author) == ("469641859543728149", "on a server", "post", "ada")
    assert post.created_at is not None and post.created_at.isoformat() == "2018-07-19T23:09:04+00:00"


def test_conversations_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    file = write_folder(tmp_path / "package", package())
    assert [post.text for post in open_source(file).posts] == ["on a server"]
    assert {post.text for post in open_source(file, direct_messages=True).posts} == {"on a server", "in private"}


def test_a_channel_that_does_not_say_what_it_is_counts_as_a_conversation(tmp_path: Path) -> None:
    files = package()
    del files[f"Messages/c{CHANNEL}/channel.json"]
    with pytest.raises(NoPosts, match="only direct messages, 2 conversations"):
        open_source(write_zip(tmp_path / "package.zip", files))


def test_the_older_csv_is_read(tmp_path: Path) -> None:
    files = {
        f"messages/{CHANNEL}/channel.json": ON_A_SERVER,
        f"messages/{CHANNEL}/messages.csv": "ID,Timestamp,Contents,Attachments\n"
        '1,2020-08-25 22:54:05.726000+00:00,"two\nlines, ""quoted""",\n2,2020-08-25 22:54:05+00:00,,https://cdn\n',
    }
    source = open_source(write_zip(tmp_path / "package.zip", files), author="ada")
    assert [(post.id, post.text, post.author) for post in source.posts] == [("1", 'two\nlines, "quoted"', "ada")]


def test_without_its_account_the_package_names_nobody(tmp_path: Path) -> None:
    files = package()
    del files["Account/user.json"]
    files["Account/applications/1/user.json"] = json.dumps({"username": "a_bot"})
    assert open_source(write_zip(tmp_path / "package.zip", files)).handle is None


def test_empty_channels_are_passed_over(tmp_path: Path) -> None:
    files = package() | {f"Messages/c{ANOTHER}/channel.json": ON_A_SERVER, f"Messages/c{ANOTHER}/messages.json": ""}
    assert len(list(open_source(write_zip(tmp_path / "package.zip", files)).posts)) == 1


def test_hostile_packages_are_refused(tmp_path: Path) -> None:
    bomb = package() | {f"Messages/c{ANOTHER}/messages.json": "[" + " " * 20_000_000 + "]"}
    with pytest.raises(UnsafeFile, match="times its size"):
        open_source(write_zip(tmp_path / "bomb.zip", bomb))
    out = package() | {f"../c{ANOTHER}/messages.json": messages("out")}
    with pytest.raises(UnsafeFile, match="leads out"):
        open_source(write_zip(tmp_path / "out.zip", out))
    long = package() | {f"Messages/c{CHANNEL}/messages.json": messages("x" * 3_000)}
    with pytest.raises(UnsafeFile):
        list(open_source(write_zip(tmp_path / "long.zip", long), limits=Limits(max_text_chars=2_000)).posts)
    cut = package() | {f"Messages/c{CHANNEL}/messages.json": messages("one", "two")[:-20]}
    with pytest.raises(SourceError, match="cut short"):
        list(open_source(write_zip(tmp_path / "cut.zip", cut)).posts)


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ID", "Contents", "Timestamp", "guild", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(channel=wild, said=wild, user=wild)
def test_whatever_stands_in_the_files_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, channel: Any, said: Any, user: Any
) -> None:
    files = {
        "A/user.json": json.dumps(user),
        f"M/c{CHANNEL}/channel.json": json.dumps(channel),
        f"M/c{CHANNEL}/messages.json": json.dumps(said),
    }
    path = write_zip(tmp_path_factory.mktemp("wild") / "p.zip", files)
    try:
        posts = list(open_source(path, direct_messages=True).posts)
    except MynahError:
        return
    assert all(post.text.strip() for post in posts)
