"""Markdown from templates in which nothing that a person wrote can become markup.

Whatever a template puts out is escaped, as Jinja2's autoescape does for HTML; only `Markdown` passes as it is. Names
and posts are put on one line first, so that they can open no block and end no table row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trainer.wording import one_line

_MARKUP = re.compile(
    r"""[\\`*_{}\[\]<>#|~$^]"""  # of CommonMark, GFM, and what the Hub adds
    r"|&(?=[#\w])"  # an entity
    r"|:(?=\S)|(?<=\S)@|(?<=\bwww)\."  # an address, which becomes a link by itself
    r"|^[-+=]",  # a list, or the line under a heading
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(value: object) -> Markdown:
    """Markdown that renders as the very text of `value`, on one line, in a paragraph, a heading or a table cell.

    CommonMark 0.31, section 2.4: a backslash takes its meaning from any ASCII punctuation; GitHub's tables and
    autolinks (GFM, 4.10 and 6.9) hold to it too.
    """
    if isinstance(value, Markdown):
        return value
    if isinstance(value, int | float):
        return Markdown(value)
    return Markdown(_NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", one_line(str(value)))))


def markdown_environment(folder: Path, filters: Mapping[str, Callable[..., object]]) -> Environment:
    """Templates of a folder, in which every value is escaped for Markdown."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        finalize=escape,
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment
