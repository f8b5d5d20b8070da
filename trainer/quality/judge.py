"""All measures of a clone's samples, beside the posts that it learned from and those that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.quality.authorship import who_said_it
from trainer.quality.bootstrap import rate
from trainer.quality.copying import Originals
from trainer.quality.diversity import distinct, self_bleu
from trainer.quality.style import comparable, style_distance, style_distance_self
from trainer.report import SampleReport, Yardstick

NEAREST = 10
FEWEST_HELDOUT = 20
"""With fewer, samples are compared with the training posts."""


def judge(
    samples: Sequence[str],
    *,
    train: Sequence[str],
    heldout: Sequence[str],
    person: str,
    others: Mapping[str, Sequence[str]],
    seed: int,
    prompts: Sequence[str] = (),
) -> SampleReport:
    """What a clone's samples are like.

    Args:
        samples: at least two; single lines, as the voice would say them.
        train: the posts that it learned from, cleaned, oldest first; at least four.
        heldout: the newest ones, kept aside. Without them (fewer than 20), style is compared with training posts.
        person: whose clone it is; a blend's training posts are of several.
        others: other people's cleaned posts by handle, oldest first; the newest tenth of each only tests the
            classifier.
        seed: of all that is drawn; the same gives the same report.
        prompts: what each sample was asked to begin with, one a sample, or none.

    Raises:
        ValueError: there are fewer samples or training posts than that.
    """
    originals = Originals(train)
    nearest = originals.nearest_of_each(samples, prompts)
    unseen = heldout if len(heldout) >= FEWEST_HELDOUT else ()
    own = unseen or train
    size = comparable(len(samples), len(own), (len(train) + len(unseen)) // 2)
    return SampleReport(
        samples=len(samples),
        copy_rate=rate([source.copied for source in nearest], seed),
        nearest=tuple(sorted(nearest, key=lambda source: (-source.copied, -source.words, -source.share))[:NEAREST]),
        distinct_1=distinct(samples, 1, seed),
        distinct_2=distinct(samples, 2, seed),
        distinct_3=distinct(samples, 3, seed),
        self_bleu=self_bleu(samples, seed),
        style_reference="heldout" if unseen else "train",
        style_distance=style_distance(samples, own, seed, size),
        style_distance_self=style_distance_self([*train, *unseen], seed, size),
        style_distance_train=style_distance(train, unseen, seed, size) if unseen else None,
        real=_yardstick(unseen, len(samples), originals, seed) if unseen else None,
        authorship=who_said_it(samples, train=train, heldout=heldout, person=person, others=others, seed=seed),
    )


def _yardstick(heldout: Sequence[str], count: int, originals: Originals, seed: int) -> Yardstick:
    """The measures of as many held-out posts as there are samples, drawn at random; of all, where there are fewer."""
    posts = [heldout[number] for number in np.random.default_rng(seed).permutation(len(heldout))[:count]]
    return Yardstick(
        posts=len(posts),
        copy_rate=rate([source.copied for source in originals.nearest_of_each(posts)], seed),
        distinct_1=distinct(posts, 1, seed),
        distinct_2=distinct(posts, 2, seed),
        distinct_3=distinct(posts, 3, seed),
        self_bleu=self_bleu(posts, seed),
    )
