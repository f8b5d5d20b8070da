"""What is heard in each epoch, and in which order.

One person: every post once. A blend: people's posts interleaved, by the shares that were asked for (`mynah`), or one
block after another, made equally long (`huggingtweets`' cyborgs). A refresh: what is new, with old posts replayed
against forgetting (experience replay: Rolnick et al. 2019, arXiv:1811.11682).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence, Set

from trainer.corpus import CleanPost
from trainer.recipes import Recipe

MOST_REPEATS = 2
"""An epoch of a blend is as long as the people's posts together, and repeats nobody's posts more often than this."""

Posts = Sequence[CleanPost]


def of_one(posts: Posts, recipe: Recipe, order: random.Random) -> list[list[CleanPost]]:
    """Each epoch holds every post, shuffled."""
    shuffled = list(posts)
    epochs: list[list[CleanPost]] = []
    for _ in range(recipe.epochs):
        order.shuffle(shuffled)
        epochs.append(list(shuffled))
    return epochs


def of_refresh(
    posts: Posts, learned: Set[str], replay: float, recipe: Recipe, order: random.Random
) -> list[list[CleanPost]]:
    """Each epoch holds the posts that are not `learned` yet, and `replay` characters of old ones for each of theirs."""
    new = [post for post in posts if post.id not in learned]
    old = [post for post in posts if post.id in learned]
    room = replay * characters(new)
    epochs: list[list[CleanPost]] = []
    for _ in range(recipe.epochs):
        order.shuffle(old)
        heard = [*new, *_up_to(room, old)]
        order.shuffle(heard)
        epochs.append(heard)
    return epochs


def of_blend(
    people: Mapping[str, Posts], shares: Mapping[str, float], recipe: Recipe, order: random.Random
) -> list[list[CleanPost]]:
    """Each epoch holds everybody, in the recipe's way."""
    if recipe.layout == "blocks":
        return [_block_after_block(people, order) for _ in range(recipe.epochs)]
    length = min(
        sum(characters(posts) for posts in people.values()),
        min(MOST_REPEATS * characters(posts) / shares[person] for person, posts in people.items()),
    )
    endless = {person: _shuffled_for_ever(posts, order) for person, posts in people.items()}
    return [_interleaved(endless, shares, length) for _ in range(recipe.epochs)]


def characters(posts: Posts) -> int:
    return sum(len(post.text) for post in posts)


def measured_shares(epochs: Sequence[Posts]) -> dict[str, float]:
    """Each person's share of all characters that are heard."""
    heard: dict[str, int] = {}
    for epoch in epochs:
        for post in epoch:
            heard[post.person] = heard.get(post.person, 0) + len(post.text)
    total = sum(heard.values())
    return {person: count / total for person, count in heard.items()}


def _interleaved(
    endless: Mapping[str, Iterator[CleanPost]], shares: Mapping[str, float], length: float
) -> list[CleanPost]:
    """Whoever is furthest behind their share speaks next (stride scheduling: Waldspurger and Weihl 1995)."""
    said = dict.fromkeys(endless, 0)
    epoch: list[CleanPost] = []
    while sum(said.values()) < length:
        behind = min(said, key=lambda person: said[person] / shares[person])
        post = next(endless[behind])
        epoch.append(post)
        said[behind] += len(post.text)
    return epoch


def _shuffled_for_ever(posts: Posts, order: random.Random) -> Iterator[CleanPost]:
    shuffled = list(posts)
    while True:
        order.shuffle(shuffled)
        yield from shuffled


def _block_after_block(people: Mapping[str, Posts], order: random.Random) -> list[CleanPost]:
    """huggingtweets: each person's posts, shuffled, and repeated until they are as many characters as the longest."""
    longest = max(characters(posts) for posts in people.values())
    return [post for posts in people.values() for post in _up_to(longest, _shuffled_for_ever(posts, order))]


def _up_to(room: float, posts: Iterator[CleanPost] | Sequence[CleanPost]) -> list[CleanPost]:
    """Posts until they hold so many characters."""
    taken: list[CleanPost] = []
    size = 0
    for post in posts:
        if size >= room:
            break
        taken.append(post)
        size += len(post.text)
    return taken
