"""Posts in, a corpus out: clean, filter, count, split by time. No torch here.

The cleaning is huggingtweets' (shared facts: github.com/borisdayma/huggingtweets, MIT), whose order matters: entities,
links, spaces, then the rule that at least three words say something. What `mynah` changes is marked at its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from trainer.protocol import JobFailed
from trainer.quality.words import runs
from trainer.recipes import Recipe

FILE = "corpus.jsonl"
"""Beside a job: what was learned from, and what was kept aside."""
MIN_PLAIN_WORDS = 3
HELDOUT_SHARE = 0.1
MIN_HELDOUT_POSTS = 50
"""Where there are 500 kept posts or more."""

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ENTITY = re.compile("|".join(_ENTITIES))
_LINK = re.compile(r" https?:\S+|https?:\S+ |\nhttps?:\S+|https?:\S+")
_LINK_OR_PICTURE = re.compile(r"(?:https?:|pic\.twitter\.com/)\S+")
_DANGLING = re.compile(r"(?:\s+(?:[-–—=|:]*[-–—=|:>→]|via))+$", re.IGNORECASE)
"""What pointed at a link at the end: ` -`, ` =>`, ` via`."""
_QUOTE = re.compile(r"[.\s]*[\"“”'‘]\s*@\w+\s*:?\s")
"""A quote by hand, from before there was a button for it: `"@someone: their words"`."""


@dataclass(frozen=True, slots=True)
class RawPost:
    """One line of a job's posts file."""

    id: str
    created_at: datetime | None
    text: str
    kind: str
    person: str = ""
    """Whose it is, in a blend."""


@dataclass(frozen=True, slots=True)
class CleanPost:
    """A kept post as it is learned, or kept aside."""

    id: str
    text: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The kept posts, oldest first, and the counts that explain them."""

    downloaded: int
    reposts: int
    short: int
    kept: int
    duplicates: int
    """Said before, or in the form of a newer post, and so not learned again."""
    quoted: int
    characters: int
    train: tuple[CleanPost, ...]
    heldout: tuple[CleanPost, ...]


def read_posts(path: Path) -> Iterator[RawPost]:
    """The posts of a job's file, one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            when = row.get("created_at")
            created_at = datetime.fromisoformat(when) if when else None
            yield RawPost(row["id"], created_at, row["text"], row["kind"], row.get("person", ""))


def unescape(text: str, *, sequential: bool) -> str:
    """Undo X's three entities: each once, or one after another as the original does (`&amp;lt;` becomes `<`)."""
    if not sequential:
        return _ENTITY.sub(lambda entity: _ENTITIES[entity.group()], text)
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text


def clean(text: str, recipe: Recipe) -> str:
    """A post's text as it is learned: no entities, no links, single spaces.

    `mynah` (`tidy_links`) also removes picture links, and leaves a space where a link was glued to words.
    """
    text = unescape(text, sequential=recipe.sequential_unescape)
    if not recipe.tidy_links:
        return " ".join(_LINK.sub("", text).split())
    return " ".join(_LINK_OR_PICTURE.sub(" ", text).split())


def tidy(text: str, raw: str) -> str:
    """A cleaned post without the dash, arrow or `via` that only pointed at a link at its end."""
    return _DANGLING.sub("", text) if _LINK_OR_PICTURE.search(raw) else text


def says_something(text: str) -> bool:
    """Whether at least three words hold no link, mention or hashtag."""
    plain = sum(1 for word in text.split() if not any(mark in word.lower() for mark in ("http", "@", "#")))
    return plain >= MIN_PLAIN_WORDS


def quotes_someone(text: str) -> bool:
    """Whether a post is somebody else's words, quoted by hand."""
    return _QUOTE.match(text) is not None


def heldout_count(kept: int) -> int:
    """How many of the newest posts are kept aside: a tenth, and at least 50 where there are 500."""
    share = int(kept * HELDOUT_SHARE)
    return max(share, MIN_HELDOUT_POSTS) if kept >= 10 * MIN_HELDOUT_POSTS else share


def build(posts: Iterable[RawPost], recipe: Recipe, learned: Set[str] = frozenset()) -> Corpus:
    """Clean, count and split. Undated posts count as older than dated ones, in the order given.

    `learned` are the ids of posts that the training begins with knowing: none of them is held out, so at most half of
    the others is.
    """
    by_time = sorted(posts, key=lambda post: post.created_at.timestamp() if post.created_at else float("-inf"))
    downloaded = reposts = short = 0
    counted: list[CleanPost] = []
    for post in _newest(by_time, recipe.newest, learned):
        downloaded += 1
        if post.kind == "repost":
            reposts += 1
            continue
        text = clean(post.text, recipe)
        if not says_something(text):
            short += 1
            continue
        counted.append(CleanPost(post.id, tidy(text, post.text) if recipe.tidy_links else text, post.person))
    ordered = [post for post in counted if not (recipe.drop_quotes and quotes_someone(post.text))]
    unknown = [post for post in ordered if post.id not in learned]
    aside = heldout_count(len(ordered)) if recipe.heldout else 0
    aside = min(aside, len(unknown) // 2) if learned else aside
    kept_aside = unknown[len(unknown) - aside :]
    newest = {post.id for post in kept_aside}
    train = [post for post in ordered if post.id not in newest] if learned else ordered[: len(ordered) - aside]
    if recipe.dedupe:
        train = _first_of_each(train)
    if aside:
        texts = {post.text for post in train}
        kept_aside = [post for post in _first_of_each(kept_aside) if post.text not in texts]
    if recipe.forms_once:
        train = _newest_of_each_form(train, learned)
    return Corpus(
        downloaded=downloaded,
        reposts=reposts,
        short=short,
        kept=len(counted),
        duplicates=len(ordered) - len(train) - len(kept_aside),
        quoted=len(counted) - len(ordered),
        characters=sum(len(post.text) for post in ordered),
        train=tuple(train),
        heldout=tuple(kept_aside),
    )


def _newest(by_time: list[RawPost], newest: int | None, learned: Set[str]) -> list[RawPost]:
    """So many of the newest posts; of a refresh, whatever came since the oldest that was learned."""
    if newest is None:
        return by_time
    oldest = next((place for place, post in enumerate(by_time) if post.id in learned), len(by_time) - newest)
    return by_time[max(0, oldest) :]


def build_each(posts: Iterable[RawPost], recipe: Recipe) -> dict[str, Corpus]:
    """A corpus for each person of a blend, by handle."""
    by_person: dict[str, list[RawPost]] = {}
    for post in posts:
        by_person.setdefault(post.person, []).append(post)
    return {person: build(theirs, recipe) for person, theirs in by_person.items()}


def together(people: Mapping[str, Corpus]) -> Corpus:
    """The corpora of a blend as one: counts added up, posts person after person."""
    corpora = people.values()
    return Corpus(
        downloaded=sum(one.downloaded for one in corpora),
        reposts=sum(one.reposts for one in corpora),
        short=sum(one.short for one in corpora),
        kept=sum(one.kept for one in corpora),
        duplicates=sum(one.duplicates for one in corpora),
        quoted=sum(one.quoted for one in corpora),
        characters=sum(one.characters for one in corpora),
        train=tuple(post for one in corpora for post in one.train),
        heldout=tuple(post for one in corpora for post in one.heldout),
    )


def check_size(corpus: Corpus, *, min_characters: int, warn_characters: int) -> str:
    """The warning a small corpus earns, or "".

    Raises:
        JobFailed: kind `too_few_posts`, with the counts and what would help.
    """
    posts = "post" if corpus.downloaded == 1 else "posts"
    counts = (
        f"{corpus.downloaded:,} {posts} downloaded, {corpus.reposts:,} reposts, {corpus.short:,} short, "
        f"{corpus.kept:,} kept with {corpus.characters:,} characters"
        f"{f', {corpus.duplicates:,} of them said again' if corpus.duplicates else ''}"
    )
    learnable = min(corpus.characters, sum(len(post.text) for post in (*corpus.train, *corpus.heldout)))
    if learnable < corpus.characters:
        counts += f", which leaves {learnable:,} characters"
    if learnable < min_characters or not corpus.train:
        raise JobFailed(
            "too_few_posts",
            f"There is too little to learn from: {counts}; at least {min_characters:,} characters are needed.",
            "A newer or fuller archive of the same person adds to what is here already, and `forget` takes that out; "
            "posts of their own words help, reposts and links do not.",
        )
    if corpus.characters < warn_characters:
        return (
            f"{corpus.characters:,} characters are few (from {warn_characters:,} on a clone is reliable): "
            "expect it to wander from the person, and more posts to help."
        )
    return ""


def write(corpus: Corpus, path: Path) -> None:
    """What was learned from and what was kept aside, one JSON object a line."""
    with path.open("w", encoding="utf-8") as lines:
        for split, posts in _splits(corpus):
            for post in posts:
                lines.write(json.dumps({"id": post.id, "split": split, "text": post.text}, ensure_ascii=False) + "\n")


def _splits(corpus: Corpus) -> tuple[tuple[Literal["train", "heldout"], tuple[CleanPost, ...]], ...]:
    return ("train", corpus.train), ("heldout", corpus.heldout)


def _first_of_each(posts: list[CleanPost]) -> list[CleanPost]:
    return list({post.text: post for post in reversed(posts)}.values())[::-1]


def _newest_of_each_form(posts: list[CleanPost], learned: Set[str]) -> list[CleanPost]:
    """The posts that share no run of words (`runs`) with a newer one, nor with one that is learned already.

    Newer ones that are left out themselves count too: what was left out once stays so when more posts come.
    """
    heard = {run for post in posts if post.id in learned for run in runs(post.text)}
    newest: list[CleanPost] = []
    for post in reversed(posts):
        said = runs(post.text)
        if post.id in learned or heard.isdisjoint(said):
            newest.append(post)
        heard |= said
    return newest[::-1]
