"""What every source of posts promises, and how much of a stranger's file it will take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage.posts import Post

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an untrusted file is read. Beyond any of these the whole file is refused with `UnsafeFile`.

    The defaults let the largest real X archive through (200,000 posts are about 360 MB of JSON) and keep the memory
    that an import takes under 150 MB, whatever the file is.
    """

    max_file_bytes: int = 1024 * MIB
    """Size of one JSON, CSV or text file."""
    max_member_bytes: int = 1024 * MIB
    """Unpacked size of one file in a zip."""
    max_total_bytes: int = 2048 * MIB
    """Size of all files that are read, unpacked."""
    max_members: int = 100_000
    """Files in a zip or a folder, pictures and videos of an X archive among them."""
    max_ratio: int = 200
    """Unpacked size over packed size, for files over 1 MiB; real archives have 10 to 30."""
    max_tar_bytes: int = 64 * 1024 * MIB
    """Size of all files in a tar, unpacked: each of them is passed over on the way to the posts."""
    max_depth: int = 64
    """Nesting of JSON, and of folders."""
    max_record_bytes: int = MIB
    """Size of one post with all its fields, or of one line of text."""
    max_posts: int = 500_000
    max_text_chars: int = 100_000
    """Length of one post; X's longest are 25,000."""
    max_notes_bytes: int = 32 * MIB
    """Size of an X archive's long posts, which are held in memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """Posts of one person, ready to be imported."""

    kind: str
    """x_archive, discord_package, mastodon_archive, bluesky, json, csv or text: what `Post.source` says too."""
    handle: str | None
    """The author as the file names them, else as the caller did; None where the caller has to ask."""
    display_name: str | None
    posts: Iterator[Post]
    """Lazy, each post once. It raises SourceError where the rest of the file turns out to be damaged or unsafe, so it
    is to be consumed in one transaction."""
