"""`make bench-curve`: what a clone costs with 300 posts and with 30,000, and whether each more post costs the same.

The newest posts of one person who has so many (Trump, 2009 to 2017), by the trainer as the bot starts it. Of his 30,378
posts 17,096 are left when reposts, repeats and what he quotes of others are out: the largest size is all of them. Each
training's outcome is kept under bench/results/curve, so that a bench that was ended goes on with the next size: the
largest takes about an hour on two cores. The cost is CPU time, which a machine that others use distorts least.
"""

from __future__ import annotations

import json
import sys
from functools import partial

from bench import quality, train
from bench.report import MB, QUICK, RESULTS, Figure, Report, at_most
from bot.sources import Limits, open_source
from trainer import corpus
from trainer.catalog import SMOLLM2
from trainer.corpus import RawPost
from trainer.recipes import MYNAH

PERSON = "realdonaldtrump"
POSTS = quality.DATA / "public-figures/trump-AlexanderEllis"
SIZES = (50, 100, 200) if QUICK else (300, 1_000, 3_000, 10_000, 30_000)
WORK = RESULTS / ("curve-quick" if QUICK else "curve")
EVEN = 1.25
"""A post of the largest corpus may cost so many times one of the middle: what is linear has no such trend."""


def main() -> int:
    """Train each size, and say what it took."""
    if not POSTS.exists():
        sys.exit(f"The posts to measure on are not in {POSTS}.")
    report = Report(
        "curve", {"person": PERSON, "base": SMOLLM2.name, "recipe": MYNAH.name, "sizes": ", ".join(map(str, SIZES))}
    )
    outcomes: dict[int, train.Outcome] = {}
    for size in SIZES:
        one = outcomes[size] = train.kept(WORK / f"{size}.json", partial(_train, size))
        report.say(
            f"up to {size:,} posts: {one.learned:,} learned; {one.before:.3f} → {one.best:.3f} bits per byte; "
            f"{one.seconds:,.0f} s, {one.cpu_s:,.0f} s of CPU, {1_000 * one.cpu_s / one.learned:,.0f} ms for each; "
            f"peak {one.peak_bytes / MB:,.0f} MB; estimate off by {one.eta_off:.0%}"
        )
    smallest, middle, largest = (outcomes[size] for size in (SIZES[0], SIZES[len(SIZES) // 2], SIZES[-1]))
    per_post = [
        (more.cpu_s - less.cpu_s) / (more.learned - less.learned)
        for less, more in ((smallest, middle), (middle, largest))
    ]
    worse = max(one.best - one.before for one in outcomes.values())
    return report.conclude(
        [
            at_most(
                f"cost of a post beyond {SIZES[len(SIZES) // 2]:,} / of one up to them",
                per_post[1] / per_post[0],
                "",
                EVEN,
            ),
            Figure("bits per byte, clone - base, the worst size", worse, "", "< 0", worse < 0),
            at_most(
                f"peak memory, up to {SIZES[-1]:,} posts / {SIZES[0]:,}",
                largest.peak_bytes / smallest.peak_bytes,
                "",
                2,
            ),
            at_most(
                "estimate of the time left after a tenth, the worst off by",
                100 * max(one.eta_off for one in outcomes.values()),
                "%",
                20,
            ),
        ]
    )


def _train(size: int) -> train.Outcome:
    """On the newest posts that Mynah keeps."""
    source = open_source(POSTS, author=PERSON, limits=Limits())
    posts = [RawPost(post.id, post.created_at, post.text, post.kind) for post in source.posts]
    built = corpus.build(posts, MYNAH)
    wanted = {post.id for post in [*built.train, *built.heldout][-size:]}
    lines = [
        json.dumps({"id": one.id, "created_at": one.created_at, "text": one.text, "kind": one.kind}, default=str)
        for one in posts
        if one.id in wanted
    ]
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / f"{size}.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return train.mynah(train.job_on(PERSON, file, WORK / f"{size}"))


if __name__ == "__main__":
    sys.exit(main())
