"""JSON or JSONL → drafts of posts: a list of posts, an object that holds one, posts under their ids, or a post a line.

Where the posts are is found by looking: in a list that is called `tweets` or the like, else wherever most values are
posts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from bot.errors import NoPosts
from bot.sources.base import Limits
from bot.sources.files import PostFile, reading
from bot.sources.json_values import Cursor, Place, TooLarge, values_at
from bot.sources.records import Draft, draft, plain_name

_LIST_NAMES = {"tweets", "posts", "statuses", "toots", "messages", "data", "items", "results", "tweet", "post"}
_ENOUGH = 100


def drafts(file: PostFile, limits: Limits) -> Iterator[Draft]:
    """The posts of a JSON file, in its order. Values that hold no text are passed over.

    Raises NoPosts where nothing in it looks like posts, SourceError and UnsafeFile as `values_at` does.
    """
    with reading(file) as stream:
        place = _find(Cursor(stream, file.name, limits))
    if place is None:
        raise NoPosts(
            f"{file.name!r} is JSON, but nothing in it looks like posts.",
            "Posts are objects with a text, full_text, tweet, content or body, or plain strings, in a list.",
        )
    with reading(file) as stream:
        for key, value in values_at(place, stream, file.name, limits):
            if found := draft(value, key=key):
                yield found


def _find(cursor: Cursor) -> Place | None:
    """The place that holds the posts, by the first value of a file."""
    if cursor.peek() == "[":
        return Place("list")
    found: Counter[Place] = Counter()
    try:
        first = cursor.value()
    except TooLarge:
        _count_in_stream(cursor, (), found)
        first = None
    else:
        try:
            _count(first, (), found)
        except RecursionError:
            raise cursor.too_deep() from None
    named = [place for place in found if _is_named_list(place)]
    if not named and draft(first):
        return Place("lines")
    return max(named or found, key=lambda place: found[place], default=None)


def _count(value: object, path: tuple[str, ...], found: Counter[Place]) -> None:
    """How many of the values in each list and object are posts. What is inside a post is not looked at."""
    if isinstance(value, list):
        place = Place("list", path)
        posts = sum(_is_post(each, place) for each in value[:_ENOUGH])
    elif isinstance(value, dict):
        place = Place("map", path)
        posts = sum(_is_post(each, place) for each in value.values())
        for key, each in value.items():
            if not _is_post(each, place):
                _count(each, (*path, key), found)
    else:
        return
    if posts:
        found[place] += posts


def _count_in_stream(cursor: Cursor, path: tuple[str, ...], found: Counter[Place]) -> bool:
    """`_count` for a list or object that is larger than a record. True, and the cursor inside it, once it is sure."""
    place = Place("list" if cursor.peek() == "[" else "map", path)
    entries = cursor.entries()
    for key in islice(entries, _ENOUGH) if place.holder == "list" else entries:
        try:
            value = cursor.value()
        except TooLarge:
            if place.holder == "list" or cursor.peek() not in ("[", "{") or len(path) > cursor.limits.max_depth:
                raise
            if _count_in_stream(cursor, (*path, key), found):
                return True
        else:
            if _is_post(value, place):
                found[place] += 1
            elif place.holder == "map":
                _count(value, (*path, key), found)
        if any(_is_named_list(each) for each in found) or (place.holder == "map" and found[place] >= _ENOUGH):
            return True
    for _ in entries:
        cursor.skip()
    return False


def _is_post(value: object, place: Place) -> bool:
    # Lists of other strings are everywhere; posts are told by the list's name.
    return _is_named_list(place) if isinstance(value, str) else isinstance(value, dict) and draft(value) is not None


def _is_named_list(place: Place) -> bool:
    return place.holder == "list" and bool(place.path) and plain_name(place.path[-1]) in _LIST_NAMES
