"""Does a clone say many things, or the same thing many times?

All three measures depend on how much text there is: compare only as many samples, of about the same length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from trainer.quality.bootstrap import share_of_set
from trainer.quality.words import words
from trainer.report import Estimate

Ngram = tuple[str, ...]
Counts = Counter[Ngram]

BLEU_ORDERS = 4
_EPSILON = 0.1


def distinct(samples: Sequence[str], n: int, seed: int) -> Estimate:
    """Different n-grams of words as a share of all (Li et al. 2016, arXiv:1510.03055); 0 where there are none."""
    counted = [_ngrams(words(sample), n) for sample in samples]

    def share(numbers: Sequence[int]) -> float:
        different = set().union(*(counted[number] for number in numbers))
        return len(different) / max(1, sum(counted[number].total() for number in numbers))

    return share_of_set(share, len(samples), seed)


def self_bleu(samples: Sequence[str], seed: int) -> Estimate:
    """Mean BLEU-4 of each sample against all others, 0 to 1 (Zhu et al. 2018, Texygen, arXiv:1802.01886).

    BLEU is smoothed as there, by method 1 of Chen & Cherry (2014). The same as NLTK's `sentence_bleu`, but each n-gram
    is counted once for all samples, not once a pair: 200 samples take a second, interval and all.
    """
    tokens = [words(sample) for sample in samples]
    counted = [[_ngrams(found, n) for found in tokens] for n in range(1, BLEU_ORDERS + 1)]

    def mean_bleu(numbers: Sequence[int]) -> float:
        precisions = zip(*(_precisions([order[number] for number in numbers]) for order in counted), strict=True)
        lengths = [len(tokens[number]) for number in numbers]
        every = Counter(lengths)
        return fmean(
            _bleu(precision, length, (other for other in every if other != length or every[other] > 1))
            for precision, length in zip(precisions, lengths, strict=True)
        )

    return share_of_set(mean_bleu, len(samples), seed)


def _ngrams(tokens: Sequence[str], n: int) -> Counts:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _precisions(samples: Sequence[Counts]) -> list[float]:
    """For each sample, the smoothed share of its n-grams that some other sample has as often."""
    most: Counts = Counter()
    second: Counts = Counter()
    for counts in samples:
        for ngram, times in counts.items():
            if times >= most[ngram]:
                most[ngram], second[ngram] = times, most[ngram]
            elif times > second[ngram]:
                second[ngram] = times
    shares: list[float] = []
    for counts in samples:
        others = ((times, second[ngram] if times == most[ngram] else most[ngram]) for ngram, times in counts.items())
        matches = sum(min(times, elsewhere) for times, elsewhere in others)
        shares.append((matches or _EPSILON) / max(1, counts.total()))
    return shares


def _bleu(precisions: Sequence[float], length: int, others: Iterable[int]) -> float:
    """The geometric mean of the precisions, less where a sample is shorter than the other that is nearest in length."""
    if precisions[0] * length < 2 * _EPSILON:  # no word in common
        return 0.0
    nearest = min(others, key=lambda other: (abs(other - length), other))
    brevity = 1.0 if length > nearest else math.exp(1 - nearest / length)
    return brevity * math.exp(fmean(map(math.log, precisions)))
