"""The HTML that posts are published in → the text that was typed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_ENDS_A_LINE = {"br", "li", "div", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
_UNSEEN = {"script", "style", "template", "title"}
_QUOTE = "quote-inline"
"""What Mastodon puts in front of a quote for readers that know no quotes: a link."""


def text_of(html: str) -> str:
    """Paragraphs become empty lines, breaks line ends; links and mentions stay as they were typed."""
    reader = _Reader()
    reader.feed(html.replace("<![", "&lt;!["))  # of a marked section that it does not know, the parser despairs
    reader.close()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(reader.said))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if tag in _UNSEEN or _QUOTE in classes:
            self._unseen.append(tag)
        elif tag == "p":
            self.said.append("\n\n")
        elif tag in _ENDS_A_LINE:
            self.said.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen and tag == self._unseen[-1]:
            self._unseen.pop()
        elif tag == "p":
            self.said.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            # A line end in HTML is a space.
            self.said.append(re.sub(r"[ \t\r\n]+", " ", data))
