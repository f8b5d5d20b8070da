"""One record of a JSON, CSV or X archive file → a draft of a post, by the names that exports give their fields.

Names are compared without case and signs: `created_at`, `createdAt` and `Created At` are one. Times without a zone
are taken as UTC, and `3/4/17` as March 4th.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

from dateutil import parser as dateutil_parser

from storage.posts import Kind

TEXT_NAMES = ("fulltext", "text", "rawcontent", "tweettext", "tweet", "content", "body", "post", "message", "status")
WRAPPER_NAMES = ("tweet", "data", "status", "post")
"""Keys under which an export puts the whole post, instead of its text."""

_ID_NAMES = ("idstr", "tweetid", "statusid", "postid", "id")
_LINK_NAMES = ("url", "permalink", "link", "tweeturl", "permanenturl", "tweetlink")
_TIME_NAMES = ("createdat", "timestamp", "datetime", "date", "postedat", "publishedat", "published", "created", "time")
_AUTHOR_NAMES = ("screenname", "username", "userscreenname", "handle", "user", "author", "account")
_DISPLAY_NAMES = ("displayname", "fullname", "name")
_REPOST_NAMES = ("isretweet", "isrepost", "retweet", "retweetedstatus", "retweetedtweet", "retweetedstatusid")
_REPLY_NAMES = (
    "inreplytostatusidstr", "inreplytostatusid", "inreplytouseridstr", "inreplytouserid", "inreplytoscreenname",
    "inreplytotweetid", "inreplytoid", "inreplytouser", "inreplyto", "isreply",
)  # fmt: skip
_REPLIED_TEXT_NAMES = ("inreplytotext", "replytotext", "parenttext")
_QUOTE_NAMES = ("quotedstatus", "quotedstatusid", "quotedstatusidstr", "quotedtweet", "isquotestatus", "isquote")
_REFERENCES: dict[object, Kind] = {"retweeted": "repost", "replied_to": "reply", "quoted": "quote"}

_NOT_SO = {"", "nan", "null", "none", "false", "0", "no", "f", "[]", "{}"}
_HANDLE = re.compile(r"@?([\w.@-]{1,64})")
_STATUS_LINK = re.compile(r"(?:^/|(?:twitter|x)\.com/)(\w{1,64})(?:/web)?/status(?:es)?/(\d{1,20})")
_WRITTEN_ID = re.compile(r"[\w:/@#.-]{1,200}")
_ROUNDED_ID = re.compile(r"\d+\.\d*([eE]\+?\d+)?|\d+[eE]\+?\d+")
# What neither SQLite's own shell nor a terminal shows well, and half of a UTF-16 pair, which UTF-8 cannot hold.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_X_TIME = "%a %b %d %H:%M:%S %z %Y"
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_MILLISECONDS_FROM = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What a record says of a post; what it does not say is empty."""

    text: str
    id: str = ""
    author: str = ""
    display_name: str = ""
    created_at: datetime | None = None
    kind: Kind = "post"
    in_reply_to: str | None = None


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """`Created At` → `createdat`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def storable(text: str) -> str:
    """The text as UTF-8 and SQLite can hold it: `\\n` ends every line, no control characters, no half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _LONE_SURROGATE.sub("\ufffd", _UNSTORABLE.sub("", text))


def draft(record: object, *, key: str = "", guesses_replies: bool = True) -> Draft | None:
    """The post that a record holds, None where it holds none.

    `key` is the name that the file has for the record, used where the record has no id. `guesses_replies` takes a text
    that begins with a mention for a reply, where the record has no field for it.
    """
    if isinstance(record, str):
        said = storable(record)
        return Draft(said, kind=_kind({}, said, "", guesses_replies)) if said.strip() else None
    if not isinstance(record, Mapping):
        return None
    fields = {plain_name(str(name)): value for name, value in record.items()}
    if (text := _text(fields)) is None:
        inner = next((fields[name] for name in WRAPPER_NAMES if isinstance(fields.get(name), Mapping)), None)
        return draft(inner, key=key, guesses_replies=guesses_replies) if inner is not None else None
    link = _STATUS_LINK.search(next(_strings(fields, _LINK_NAMES), ""))
    id = _id(fields) or (link[2] if link else "") or key
    return Draft(
        text,
        id=id,
        author=_author(fields) or (link[1] if link and link[1] != "i" else ""),
        display_name=_display_name(fields),
        created_at=next((time for name in _TIME_NAMES if (time := moment(fields.get(name)))), None),
        kind=_kind(fields, text, id, guesses_replies),
        in_reply_to=next((storable(said) for said in _strings(fields, _REPLIED_TEXT_NAMES)), None),
    )


def moment(value: object) -> datetime | None:
    """A time as exports write it, in UTC; None for what is surely none.

    ISO 8601, X's own form, seconds or milliseconds since 1970, and whatever else python-dateutil knows that names
    year, month and day.
    """
    try:
        if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal() and len(value) > 8):
            seconds = int(value) / 1000 if int(value) > _MILLISECONDS_FROM else int(value)
            time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        elif isinstance(value, str) and 6 <= len(value) <= 64:
            time = _written_moment(value.strip())
        else:
            return None
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if _FIRST_YEAR <= time.year <= _LAST_YEAR else None


class ContentIds:
    """Ids for posts that have none: the same file read again, or grown longer, gives the same ones."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def id_of(self, text: str) -> str:
        """`h:`, a hash of the text, and how often this text came before."""
        digest = blake2b(text.encode(), digest_size=8).digest()
        occurrence = self._seen.get(digest, 0)
        self._seen[digest] = occurrence + 1
        return f"h:{digest.hex()}:{occurrence}"


def _written_moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.strptime(text, _X_TIME)  # noqa: DTZ007 - it has %z
    except ValueError:
        # Missing parts come from the default: a year that is too early marks a text that names no year.
        return dateutil_parser.parse(text, default=datetime(1, 1, 1))  # noqa: DTZ001 - the zone is set by `moment`


def _text(fields: Mapping[str, object]) -> str | None:
    # X's API puts the whole of a long post beside its beginning.
    for long in ("extendedtweet", "notetweet"):
        inner = fields.get(long)
        if isinstance(inner, Mapping):
            whole = next((inner[name] for name in ("full_text", "text") if isinstance(inner.get(name), str)), "")
            if whole.strip():
                return storable(whole)
    written = (storable(text) for text in _strings(fields, TEXT_NAMES))
    return next((text for text in written if text.strip()), None)


def _strings(fields: Mapping[str, object], names: tuple[str, ...]) -> Iterator[str]:
    return (value for name in names if isinstance(value := fields.get(name), str) and value.strip())


def _id(fields: Mapping[str, object]) -> str:
    for name in _ID_NAMES:
        value = fields.get(name)
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        # A spreadsheet's 9.2E+17 is the same for many posts.
        if text.lower() not in _NOT_SO and _WRITTEN_ID.fullmatch(text) and not _ROUNDED_ID.fullmatch(text):
            return text
    return ""


def _author(fields: Mapping[str, object]) -> str:
    for name in _AUTHOR_NAMES:
        value = fields.get(name)
        if isinstance(value, Mapping):
            found = _author({plain_name(str(key)): inner for key, inner in value.items() if isinstance(inner, str)})
            if found:
                return found
        elif isinstance(value, str) and (match := _HANDLE.fullmatch(value.strip())):
            return match[1]
    return ""


def _display_name(fields: Mapping[str, object]) -> str:
    user = next((fields[name] for name in ("user", "author") if isinstance(fields.get(name), Mapping)), {})
    assert isinstance(user, Mapping)
    inner = {plain_name(str(key)): value for key, value in user.items()}
    return display_name(next(_strings({**fields, **inner}, _DISPLAY_NAMES), ""))


def display_name(written: str) -> str:
    """A name as it can be shown on one line."""
    return " ".join(storable(written).split())[:100]


def _kind(fields: Mapping[str, object], text: str, id: str, guesses_replies: bool) -> Kind:
    references = fields.get("referencedtweets")
    named = (
        [_REFERENCES.get(each.get("type")) for each in references if isinstance(each, Mapping)]
        if isinstance(references, list)
        else []
    )
    if text.startswith("RT @") or "repost" in named or _any_so(fields, _REPOST_NAMES):
        return "repost"
    if "reply" in named or _any_so(fields, _REPLY_NAMES):
        return "reply"
    if guesses_replies and re.match(r"@\w", text) and not any(name in fields for name in _REPLY_NAMES):
        return "reply"
    if "quote" in named or _any_so(fields, _QUOTE_NAMES) or _links_to_another(fields, id):
        return "quote"
    return "post"


def _any_so(fields: Mapping[str, object], names: tuple[str, ...]) -> bool:
    return any(str(fields[name]).strip().lower() not in _NOT_SO for name in names if name in fields)


def _links_to_another(fields: Mapping[str, object], id: str) -> bool:
    entities = fields.get("entities")
    urls = entities.get("urls") if isinstance(entities, Mapping) else None
    for url in urls if isinstance(urls, list) else []:
        expanded = url.get("expanded_url") if isinstance(url, Mapping) else None
        if isinstance(expanded, str) and (match := _STATUS_LINK.search(expanded)) and match[2] != id:
            return True
    return False
