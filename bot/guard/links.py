"""Where a text holds a link, as X finds it: with or without `https://`, by the top-level domains that it knows.

The grammar is that of twitter-text (https://github.com/twitter/twitter-text, Apache-2.0, commit 30e2430), and so is the
list in `tlds.txt`: what X shortens to 23 characters is not what a browser would open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

_INVALID = "\ufffe\ufeff\uffff"
_DIRECTIONAL = "\u202a-\u202e\u061c\u200e\u200f\u2066-\u2069"
_SPACES = "\x09-\x0d\x20\x85\xa0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PUNCTUATION = re.escape("!'#%&()*+,-./:;<=>?@[]^_{|}~$\\")
_ACCENTED = "\xc0-\xd6\xd8-\xf6\xf8-\xff\u0100-\u024fɓɔɖɗəɛɣɨɯɲʉʋʻ\u0300-\u036f\u1e00-\u1eff"
_CYRILLIC = "\u0400-\u04ff"

_IN_DOMAIN = f"[^{_PUNCTUATION}{_SPACES}{_INVALID}{_DIRECTIONAL}]"
_IN_PATH = rf"[a-z{_CYRILLIC}0-9!*';:=+,.$/%#\[\]\-\u2013_~@|&{_ACCENTED}]"
_IN_PARENTHESES = rf"\((?:{_IN_PATH}+|{_IN_PATH}*\({_IN_PATH}+\){_IN_PATH}*)\)"
_ENDS_PATH = rf"(?:[+\-a-z{_CYRILLIC}0-9=_#/{_ACCENTED}]|{_IN_PARENTHESES})"
_PATH = rf"(?:{_IN_PATH}*(?:{_IN_PARENTHESES}{_IN_PATH}*)*{_ENDS_PATH}|@{_IN_PATH}+/)"
_QUERY = r"\?[a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-z0-9\-_&=#/]"

_KNOWN = files("bot.guard").joinpath("tlds.txt").read_text(encoding="utf-8").split()
_TOP = rf"(?:(?:{'|'.join(sorted(_KNOWN, key=len, reverse=True))})(?=[^0-9a-z@+\-]|$)|xn--[\-0-9a-z]+)"
_SUBDOMAIN = rf"(?:(?:{_IN_DOMAIN}(?:[_-]|{_IN_DOMAIN})*)?{_IN_DOMAIN}\.)"
_NAME = rf"(?:(?:{_IN_DOMAIN}(?:-|{_IN_DOMAIN})*)?{_IN_DOMAIN}\.)"

_LINK = re.compile(
    rf"(?P<before>[^A-Za-z0-9@＠$#＃{_INVALID}]|[{_DIRECTIONAL}]|^)"
    rf"(?P<url>(?P<protocol>https?://)?(?P<domain>{_SUBDOMAIN}*{_NAME}{_TOP})(?::[0-9]+)?"
    rf"(?P<path>/{_PATH}*)?(?:{_QUERY})?)",
    re.IGNORECASE,
)
_ASCII_DOMAIN = re.compile(rf"(?:[\-a-z0-9{_ACCENTED}]+\.)+{_TOP}", re.IGNORECASE)
_SHORTENED = re.compile(rf"https?://t\.co/([a-z0-9]+)(?:{_QUERY})?", re.IGNORECASE)
_LONGEST_URL = 4096
_LONGEST_SLUG = 40


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a text: its place, in code points."""

    start: int
    end: int


def find_links(text: str) -> list[Link]:
    """Every link that X would find, in order."""
    return [link for found in _LINK.finditer(text) for link in _links(found)] if "." in text else []


def _links(found: re.Match[str]) -> list[Link]:
    """What is a link of what looks like one."""
    url, domain, start, end = found["url"], found["domain"], found.start("url"), found.end("url")
    encoded = _encoded(domain)
    if encoded is None:
        return []
    if len(found["protocol"] or "https://") + len(url) + len(encoded) - len(domain) > _LONGEST_URL:
        return []
    if found["protocol"]:
        shortened = _SHORTENED.match(url)
        if shortened is None:
            return [Link(start, end)]
        return [Link(start, start + shortened.end())] if len(shortened[1]) <= _LONGEST_SLUG else []
    if found["before"].endswith(("-", "_", ".", "/")):
        return []
    domains = [Link(start + one.start(), start + one.end()) for one in _ASCII_DOMAIN.finditer(domain)]
    return [*domains[:-1], Link(domains[-1].start, end if found["path"] else domains[-1].end)] if domains else []


def _encoded(domain: str) -> str | None:
    """A domain as DNS writes it; None where it cannot be one."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
