"""The front matter of a model card: what the Hub reads of it, in the Hub's own classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import EvalResult, ModelCardData

from trainer.card_facts import CardFacts
from trainer.catalog import PACKAGED
from trainer.manifest import HUB_NAMES
from trainer.report import Estimate
from trainer.wording import one_line

PUBLIC_HUB = "https://huggingface.co"
START = "My dream is"
"""huggingtweets' example of a beginning."""

_HUB_IDS = {**HUB_NAMES, "gpt2": "openai-community/gpt2"}
_LICENCES = {"openai-community/gpt2": "MIT"}
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)


def hub_id(name: str) -> str:
    """A name that the Hub may know; empty for a folder or a file, whose path is nobody's business."""
    known = _HUB_IDS.get(name, name)
    local = Path(name).suffix == ".gguf" or (name not in _HUB_IDS and Path(name).exists())
    return known if _HUB_ID.fullmatch(known) and not local else ""


def base_name(facts: CardFacts) -> str:
    """The base as a reader knows it."""
    return hub_id(facts.base).rpartition("/")[2] or one_line(Path(facts.base).name) or "an unnamed base model"


def base_licence(facts: CardFacts) -> str:
    """As the bot says it, else as we know it; empty where nobody does."""
    packaged = PACKAGED.get(facts.base)
    known = packaged.licence if packaged else _LICENCES.get(hub_id(facts.base), "")
    return one_line(facts.base_licence) or known


def repo_name(facts: CardFacts) -> str:
    """`owner/name` on the Hub; empty where it is not there, or no such name."""
    return facts.repo if _HUB_ID.fullmatch(facts.repo) else ""


def card_metadata(facts: CardFacts, languages: Sequence[str], hub_url: str) -> ModelCardData:
    """Everything that the Hub lists, filters by or draws from a card."""
    repo, licence = repo_name(facts), re.sub(r"[^a-z0-9.-]+", "-", base_licence(facts).lower()).strip("-")
    picture = "predictions.png"
    if repo:
        picture = f"{(hub_url or PUBLIC_HUB).rstrip('/')}/{quote(repo)}/resolve/main/{picture}"
    results = list(eval_results(facts))
    return ModelCardData(
        language=languages[0] if len(languages) == 1 else list(languages) or None,
        license=licence or None,
        base_model=hub_id(facts.base) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["mynah", *(["huggingtweets"] if facts.recipe.name == "huggingtweets" else [])],
        thumbnail=picture,
        widget=[{"text": START}],
        model_name=repo.rpartition("/")[2] or one_line(facts.handle) if results else None,
        eval_results=results or None,
    )


def eval_results(facts: CardFacts) -> Iterator[EvalResult]:
    """Our figures, each with the bounds of its confidence interval."""
    report = facts.report
    if report is None:
        return
    samples = report.samples
    held_out = f"Posts of {facts.handles}, held out"
    sampled = f"Samples of the clone of {facts.handles}"
    yield from _result("bits_per_byte", "Bits per byte", report.bits_per_byte, "held-out-posts", held_out)
    if samples is None:
        return
    for metric, name, estimate in (
        ("copy_rate", "Copy rate", samples.copy_rate),
        ("distinct_1", "Distinct-1", samples.distinct_1),
        ("distinct_2", "Distinct-2", samples.distinct_2),
        ("distinct_3", "Distinct-3", samples.distinct_3),
        ("self_bleu", "Self-BLEU", samples.self_bleu),
        ("style_distance", "Style distance", samples.style_distance),
    ):
        yield from _result(metric, name, estimate, "samples", sampled)
    if samples.authorship is not None:
        said = "Who said it: samples taken for this person's"
        yield from _result("who_said_it", said, samples.authorship.samples, "samples", sampled)


def _result(metric: str, name: str, estimate: Estimate | None, kind: str, dataset: str) -> Iterator[EvalResult]:
    if estimate is not None:
        yield EvalResult(
            task_type="text-generation",
            task_name="Text generation in the voice of a person",
            dataset_type=f"mynah-{kind}",
            dataset_name=dataset,
            metric_type=metric,
            metric_name=name,
            metric_value=round(estimate.value, 4),
            metric_args={"interval_95": [round(estimate.low, 4), round(estimate.high, 4)]},
        )
