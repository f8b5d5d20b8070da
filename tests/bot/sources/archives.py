"""Archives and files of posts, built as the platforms build them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import libipld

from bot.sources import open_source
from storage.posts import Post

Tweet = dict[str, Any]


def tweet(id: str, text: str, created_at: str = "Sat Nov 09 12:14:18 +0000 2024", **more: Any) -> Tweet:
    return {"tweet": {"id_str": id, "id": id, "created_at": created_at, "full_text": text, "entities": {}, **more}}


def assigned(name: str, value: object) -> str:
    """A file of an X archive: `window.YTD.tweets.part0 = [ … ]`."""
    return f"{name} = {json.dumps(value, indent=2)}"


def tweets_js(*tweets: Tweet, part: int = 0) -> str:
    return assigned(f"window.YTD.tweets.part{part}", list(tweets))


def account_js(handle: str = "ada", name: str = "Ada L.") -> str:
    return assigned("window.YTD.account.part0", [{"account": {"username": handle, "accountDisplayName": name}}])


def write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, encoding="utf-8")
    return path


def posts_in(path: Path, author: str | None = None) -> list[Post]:
    return list(open_source(path, author=author).posts)


def texts_in(path: Path, author: str | None = None) -> list[str]:
    return [post.text for post in posts_in(path, author)]


def write_tar(path: Path, files: Mapping[str, str | bytes], mode: Literal["w", "w:gz"] = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def car_block(record: object) -> bytes:
    """A block of a CAR file: its length, its address, its DAG-CBOR."""
    content = libipld.encode_dag_cbor(record)
    block = b"\x01\x71\x12\x20" + hashlib.sha256(content).digest() + content
    return varint(len(block)) + block


def car(*records: object) -> bytes:
    """A repository of Bluesky with these records."""
    header = libipld.encode_dag_cbor({"roots": [], "version": 1})
    return varint(len(header)) + header + b"".join(map(car_block, records))


def varint(number: int) -> bytes:
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
