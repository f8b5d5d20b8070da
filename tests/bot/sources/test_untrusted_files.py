"""Files made to do harm: each is refused with a sentence, and in bounded memory."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from bot.errors import SourceError, UnsafeFile
from bot.sources import Limits, open_source
from tests.bot.sources.archives import posts_in, tweet, tweets_js, write_folder, write_zip

TWEETS = tweets_js(tweet("1", "hello"))
ROOT = Path(__file__).parents[3]


def test_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    bomb = write_zip(tmp_path / "x.zip", {"data/tweets.js": TWEETS + " " * 30_000_000})
    with pytest.raises(UnsafeFile, match="would unpack to 29 MiB from"):
        open_source(bomb)
    with pytest.raises(UnsafeFile, match=r"29 MiB; 10 MiB is the most"):
        open_source(bomb, limits=Limits(max_member_bytes=10 << 20))


def test_small_bombs_add_up(tmp_path: Path) -> None:
    parts = {f"data/tweets-part{n}.js": TWEETS + " " * 500_000 for n in range(9)}
    with pytest.raises(UnsafeFile, match="4 MiB together; 1 MiB is the most"):
        open_source(write_zip(tmp_path / "x.zip", parts), limits=Limits(max_total_bytes=1 << 20))


def test_method_that_unpacks_without_bounds_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("data/tweets.js", TWEETS)
    with pytest.raises(UnsafeFile, match="a method that archives do not use"):
        open_source(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["../../evil.js", "/etc/evil.js", "a/../../evil.js", "C:\\evil.js", "..\\evil.js"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeFile, match="leads out of it"):
        open_source(write_zip(tmp_path / "x.zip", {"data/tweets.js": TWEETS, name: "x"}))


def test_file_that_comes_twice_in_a_zip_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("data/tweets.js", TWEETS)
            archive.writestr("data/tweets.js", TWEETS)
    with pytest.raises(UnsafeFile, match="twice"):
        open_source(tmp_path / "x.zip")


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"outside.js": TWEETS, "archive/data/account.js": "x"})
    (tmp_path / "archive/data/tweets.js").symlink_to(tmp_path / "outside.js")
    with pytest.raises(UnsafeFile, match="is a link"):
        open_source(tmp_path / "archive")
    entry = zipfile.ZipInfo("data/tweets.js")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(UnsafeFile, match="is a link"):
        open_source(tmp_path / "x.zip")


def test_what_is_only_called_a_zip_is_refused_as_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(b"<half a download>\0")
    with pytest.raises(SourceError, match=r"mine\.zip is no zip, or a broken one"):
        open_source(tmp_path / "mine.zip")


def test_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "archive", {"data/tweets.js": TWEETS})
    (folder / "data/again").symlink_to(folder)
    assert len(posts_in(folder)) == 1


@pytest.mark.parametrize("damage", ["encrypted", "contents", "end", "middle"])
def test_damaged_zips_are_refused(tmp_path: Path, damage: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"data/tweets.js": TWEETS})
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    if damage == "encrypted":
        content[6] |= 1
        content[directory + 8] |= 1
    elif damage == "contents":
        content[60:80] = bytes(20)
    else:
        del content[-30 if damage == "end" else 100 :]
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"encrypted|damaged|cut short") as refusal:
        posts_in(path)
    assert refusal.value.hint


@pytest.mark.parametrize("name", ["posts.json", "outbox.json", "repo.car"])
@pytest.mark.parametrize("flag", [0x01, 0x20, 0x40])
def test_locked_file_of_any_kind_is_refused(tmp_path: Path, name: str, flag: int) -> None:
    content = bytearray(write_zip(tmp_path / "x.zip", {name: '[{"text": "hello"}]'}).read_bytes())
    content[6] |= flag
    content[content.index(b"PK\1\2") + 8] |= flag
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(SourceError) as refusal:
        posts_in(tmp_path / "x.zip")
    assert refusal.value.hint


def test_values_inside_each_other_without_end_are_refused(tmp_path: Path) -> None:
    for depth in (900, 990, 5_000):
        file = tmp_path / f"{depth}.json"
        file.write_text('{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(SourceError):
            posts_in(file)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"data/{n}.js": "" for n in range(20)}
    for path in (write_zip(tmp_path / "x.zip", files), write_folder(tmp_path / "x", files)):
        with pytest.raises(UnsafeFile, match="files"):
            open_source(path, limits=Limits(max_members=10))


def test_directory_of_a_zip_is_measured_before_it_is_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2_000_000, 0, 0)
    (tmp_path / "x.zip").write_bytes(b"PK\3\4" + bytes(2_000_000) + end)
    with pytest.raises(UnsafeFile, match=r"The list of files in x\.zip has 2 MiB"):
        open_source(tmp_path / "x.zip", limits=Limits(max_members=100))


def test_zip_in_a_zip_is_not_opened(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", {"data/tweets.js": TWEETS}).read_bytes()
    with pytest.raises(SourceError, match="no file that is known to hold posts"):
        open_source(write_zip(tmp_path / "x.zip", {"inner.zip": inner}))


def test_deep_folders_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"/".join("abcdefgh") + "/posts.json": "[]"})
    with pytest.raises(UnsafeFile, match="more than 5 deep"):
        open_source(tmp_path, limits=Limits(max_depth=5))


def test_devices_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path, says in (
        (Path("/dev/zero"), "device or a pipe"),
        (tmp_path / "pipe.json", "device or a pipe"),
        (tmp_path, "no file that is known"),
        (tmp_path / "missing.json", "There is no file"),
        (tmp_path / "nul\0.json", "There is no file"),
    ):
        with pytest.raises(SourceError, match=says):
            open_source(path)


IMPORT = """
import resource, sys
from pathlib import Path
from bot.errors import SourceError
from bot.sources import open_source
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    said = str(sum(1 for _ in open_source(Path(sys.argv[1])).posts))
except SourceError as error:
    said = error.message
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, said)
"""
MIB = 1 << 20


def growth_of_import(path: Path) -> tuple[int, str]:
    """MiB that the process grew by at most, and what came of the import."""
    done = subprocess.run([sys.executable, "-c", IMPORT, path], cwd=ROOT, capture_output=True, text=True, check=True)
    grown, said = done.stdout.strip().split(" ", 1)
    return int(grown), said


def many_posts(count: int) -> bytes:
    one = b'{"id_str": "%d", "full_text": "%s", "entities": {"urls": [], "media": [{"sizes": {"w": 1}}]}},\n'
    return b"[" + b"".join(one % (n, b"word " * 40) for n in range(count)) + b'"end"]'


def hole(path: Path, head: bytes, size: int) -> Path:
    """A file of that size which begins with `head` and takes no room on disk."""
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(size)
    return path


@pytest.mark.skipif(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 1 << 24, reason="needs Linux's unit of memory")
def test_memory_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "posts.json").write_bytes(many_posts(100_000))
    (tmp_path / "string.json").write_bytes(b'[{"text": "' + b"x" * (60 * MIB) + b'"}]')
    (tmp_path / "escapes.json").write_bytes(b'[{"text": "' + b"\\n" * (30 * MIB) + b'"}]')
    (tmp_path / "values.json").write_bytes(b'[{"text": [' + b"{}," * (20 * MIB) + b"1]}]")
    (tmp_path / "line.txt").write_bytes(b"x" * (60 * MIB))
    (tmp_path / "field.csv").write_bytes(b'id,text\n1,"' + b"x\n" * (30 * MIB) + b'"\n')
    hole(tmp_path / "huge.json", b'[{"text": "a"},', 2048 * MIB)
    for name, says in (
        ("posts.json", "100001"),
        ("string.json", "one value of more than 1,048,576 bytes"),
        ("escapes.json", "one value of more than 1,048,576 bytes"),
        ("values.json", "one value of more than 1,048,576 bytes"),
        ("line.txt", "more than 1,048,576 characters"),
        ("field.csv", "131,072 characters"),
        ("huge.json", "2,048 MiB; 1,024 MiB is the most"),
    ):
        grown, said = growth_of_import(tmp_path / name)
        assert says in said
        assert grown < 60, name


def test_link_that_the_person_names_is_followed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"real.js": TWEETS})
    (tmp_path / "mine").symlink_to(tmp_path / "real.js")
    assert len(posts_in(tmp_path / "mine")) == 1
