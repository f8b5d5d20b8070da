"""What a training learns from, in order, and what it is measured on: the job's posts, cleaned, counted and split."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from trainer import corpus, epochs, languages
from trainer.corpus import CleanPost, Corpus
from trainer.files import describe
from trainer.protocol import Counted, FinetuneJob, JobFailed, PersonCounted
from trainer.stream import Emit


@dataclass(frozen=True)
class Lesson:
    """What is learned from, in order, and what it is measured on."""

    posts: Corpus
    epochs: list[list[CleanPost]]
    order: random.Random
    learned: frozenset[str]
    """Ids of the posts that the version before learned from."""
    people: dict[str, Corpus] = field(default_factory=dict)
    """Of a blend."""

    @property
    def unseen(self) -> list[CleanPost]:
        """Held-out posts that the version before did not learn from: what both are compared on."""
        return [post for post in self.posts.heldout if post.id not in self.learned]


def prepare(job: FinetuneJob) -> Lesson:
    """Clean the posts, split them, and put in order what is heard.

    Raises:
        JobFailed: where a blend lacks somebody, or there is nothing new to learn.
    """
    recipe, order, previous = job.recipe, random.Random(job.seed), job.previous
    raw = corpus.read_posts(job.posts)
    learned = _ids(previous.learned) if previous else frozenset()
    if job.shares is not None:
        people = corpus.build_each(raw, recipe)
        for person in job.shares.keys() - {person for person, theirs in people.items() if theirs.train}:
            raise JobFailed("too_few_posts", f"There are no posts of @{person} to learn from.", "Import some first.")
        heard = epochs.of_blend({person: one.train for person, one in people.items()}, job.shares, recipe, order)
        return Lesson(corpus.together(people), heard, order, learned, people)
    if previous is None or not previous.go_on:
        posts = corpus.build(raw, recipe)
        return Lesson(posts, epochs.of_one(posts.train, recipe, order), order, learned)
    posts = corpus.build(raw, recipe, learned)
    known = _ids(previous.known) if previous.known else learned
    if all(post.id in known for post in (*posts.train, *posts.heldout)):
        raise JobFailed(
            "too_few_posts", "There is nothing new to learn.", "Refresh again once there are more posts of this person."
        )
    heard = epochs.of_refresh(posts.train, learned, previous.replay, recipe, order)
    return Lesson(posts, heard, order, learned)


def _ids(path: Path) -> frozenset[str]:
    return frozenset(path.read_text("utf-8").split("\n"))


def say_counts(job: FinetuneJob, lesson: Lesson, emit: Emit) -> Counted:
    """Say the data table, and refuse what is too little."""
    posts = lesson.posts
    path = job.work_dir / corpus.FILE
    corpus.write(posts, path)
    shares = epochs.measured_shares(lesson.epochs)
    goes_on = job.previous is not None and job.previous.go_on
    counted = Counted(
        people=tuple(
            PersonCounted(
                person=person,
                downloaded=one.downloaded,
                reposts=one.reposts,
                short=one.short,
                kept=one.kept,
                characters=one.characters,
                share=shares.get(person, 0.0),
            )
            for person, one in lesson.people.items()
        ),
        downloaded=posts.downloaded,
        reposts=posts.reposts,
        short=posts.short,
        kept=posts.kept,
        duplicates=posts.duplicates,
        quoted=posts.quoted,
        characters=posts.characters,
        train=len(posts.train),
        heldout=len(posts.heldout),
        corpus=describe(path),
        new=sum(post.id not in lesson.learned for post in posts.train) if goes_on else None,
    )
    try:
        warnings = [
            f"@{person}: {warning}" if person else warning
            for person, one in (lesson.people or {"": posts}).items()
            if (
                warning := corpus.check_size(
                    one, min_characters=job.min_characters, warn_characters=job.warn_characters
                )
            )
        ]
    except JobFailed:
        emit(counted)
        raise
    warnings.append(languages.foreign(job.base, (post.text for post in posts.train)))
    counted = counted.model_copy(update={"warning": " ".join(filter(None, warnings))})
    emit(counted)
    return counted
