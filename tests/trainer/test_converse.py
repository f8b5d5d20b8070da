"""Many samples at once are what one at a time would be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainer import converse as conversing
from trainer.base import Base, load_model, load_tokenizer, prepare, separator_id
from trainer.converse import converse
from trainer.recipes import Sampling


@pytest.fixture(params=["tiny_gpt2", "tiny_llama_folder"])
def speaker(request: pytest.FixtureRequest, tiny_gpt2: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if request.param == "tiny_llama_folder":
        base = prepare(str(request.getfixturevalue("tiny_llama")), request.getfixturevalue("tmp_path"))
    else:
        base = Base("tiny", "", tiny_gpt2)
    return load_model(base, torch.float32), load_tokenizer(base)


def test_there_are_as_many_as_were_asked_for_and_the_same_for_a_seed(
    speaker: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    first = converse(*speaker, 13, Sampling(max_tokens=40), 3)
    assert len(first) == 13
    assert converse(*speaker, 13, Sampling(max_tokens=40), 3) == first
    assert converse(*speaker, 13, Sampling(max_tokens=40), 4) != first


def test_no_row_is_shorter_or_longer_than_the_recipe_says(
    speaker: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = speaker
    end = separator_id(tokenizer)
    draw = torch.Generator().manual_seed(3)
    rows = conversing._side_by_side(model, 20, end, Sampling(min_tokens=10, max_tokens=30), draw)
    assert all(row[0] == end and 11 <= len(row) <= 30 for row in rows)
    assert all(end not in row[1:-1] for row in rows)


def test_packing_rows_anew_changes_nothing_of_what_they_go_on_with(
    speaker: tuple[PreTrainedModel, PreTrainedTokenizerBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one likeliest token there is nothing to draw, so that any mix-up of rows and cache would be seen."""
    greedy = Sampling(top_k=1, min_tokens=1, max_tokens=40)
    monkeypatch.setattr(conversing, "CROWDED", 1.0)
    packed = converse(*speaker, 6, greedy, 3)
    monkeypatch.setattr(conversing, "CROWDED", 0.0)
    assert converse(*speaker, 6, greedy, 3) == packed


def test_tokens_come_as_often_as_their_chances_say(speaker: tuple[PreTrainedModel, PreTrainedTokenizerBase]) -> None:
    model, tokenizer = speaker
    sampling = Sampling(top_k=4, top_p=1.0, min_tokens=1, max_tokens=2)
    end = separator_id(tokenizer)
    drawn = conversing._side_by_side(model, 4_000, end, sampling, torch.Generator().manual_seed(1))
    counted = Counter(row[1] for row in drawn)
    with torch.no_grad():
        logits = model(torch.tensor([[end]])).logits[0, -1]
    best = logits.topk(4)
    for token, chance in zip(best.indices.tolist(), best.values.softmax(dim=-1).tolist(), strict=True):
        assert counted[token] / len(drawn) == pytest.approx(chance, abs=0.03)
    assert set(counted) == set(best.indices.tolist())
