"""Who said it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.sources import open_source
from tests.trainer.quality.people import careful, loud, sleepy
from trainer import corpus
from trainer.corpus import RawPost
from trainer.quality.authorship import who_said_it
from trainer.recipes import MYNAH
from trainer.report import Authorship

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
OTHERS = {"loud": loud(150), "sleepy": sleepy(150)}


def asked(
    samples: Sequence[str], *, heldout: Sequence[str] = (), others: dict[str, list[str]] = OTHERS
) -> Authorship | None:
    return who_said_it(samples, train=careful(150), heldout=heldout, person="careful", others=others, seed=1)


def test_own_samples_are_named_and_somebody_elses_are_not() -> None:
    own, foreign = asked(careful(40, seed=2), heldout=careful(40, seed=3)), asked(sleepy(40, seed=2))
    assert own is not None
    assert foreign is not None
    assert own.personas == ("careful", "loud", "sleepy")
    assert min(own.samples.value, own.real.value, own.real_fives.value, foreign.real.value) > 0.9
    assert max(foreign.samples.value, foreign.sample_fives.value) < 0.1
    assert own.mistaken is not None
    assert own.mistaken.value < 0.1


def test_five_posts_together_say_more_than_one() -> None:
    mixed = [post for pair in zip(careful(60, seed=2), sleepy(60, seed=2), strict=True) for post in pair]
    found = asked(careful(60, seed=2) + mixed)
    assert found is not None
    assert 0.6 < found.samples.value < 0.75
    assert found.sample_fives.value > found.samples.value


def test_two_people_are_enough() -> None:
    found = asked(careful(20, seed=2), others={"loud": loud(150)})
    assert found is not None
    assert found.samples.value > 0.9


def test_nobody_else_or_too_few_posts_is_no_question() -> None:
    assert asked(careful(20), others={}) is None
    assert asked(careful(20), others={"loud": loud(19)}) is None
    assert asked(careful(20), others={"careful": loud(100)}) is None


def test_few_samples_and_hostile_ones_are_judged_too() -> None:
    for samples in (["x"], ["", " ", "\x00", "🐦" * 5000], ["ﷺ\u202e𝔘"] * 3):
        found = asked(samples)
        assert found is not None
        assert 0 <= found.samples.low <= found.samples.value <= found.samples.high <= 1


@pytest.mark.timeout(600)  # 15 s on a quiet core
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real posts are not in {DATA}")
def test_four_in_five_real_posts_are_named_right_and_nearly_all_fives() -> None:
    """Six people, the newest 1,000 kept posts of each, the newest 100 held out."""
    figures = "public-figures/fivethirtyeight-twitter-ratio"
    files = {
        "andreruffert": "x-archives/andreruffert.zip",
        "mkommar": "x-archives/mkommar.zip",
        "obama": f"{figures}/BarackObama.csv",
        "trump": f"{figures}/realDonaldTrump.csv",
        "dril": "public-figures/dril-anti0ch/@dril.json",
        "elonmusk": "public-figures/elonmusk-fourthbrain/elonmusk_tweets.csv",
    }
    posts = {name: kept(DATA / file, name)[-1000:] for name, file in files.items()}
    found = [
        who_said_it(
            own[-100:],
            train=own[:-100],
            heldout=own[-100:],
            person=name,
            others={other: texts for other, texts in posts.items() if other != name},
            seed=1,
        )
        for name, own in posts.items()
    ]
    real = [each for each in found if each is not None]
    assert len(real) == 6
    assert sum(each.real.value for each in real) / 6 == pytest.approx(0.80, abs=0.03)
    assert sum(each.real_fives.value for each in real) / 6 == pytest.approx(0.99, abs=0.01)


def kept(path: Path, author: str) -> list[str]:
    raw = (RawPost(post.id, post.created_at, post.text, post.kind) for post in open_source(path, author=author).posts)
    built = corpus.build(raw, MYNAH)
    return [post.text for post in (*built.train, *built.heldout)]
