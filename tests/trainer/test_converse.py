"""Many samples at once are what one at a time would be, by transformers and by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainer import converse as conversing
from trainer.base import Base, load_model, load_tokenizer, prepare, separator_id
from trainer.converse import converse, practise
from trainer.lean.model import Lean
from trainer.learner import Plain, Speaker, speaker_of
from trainer.recipes import Sampling

PROMPTS = ("I", "My dream is a very long one:", "")


@pytest.fixture
def llama(tiny_llama: Path, tmp_path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    base = prepare(str(tiny_llama), tmp_path)
    return load_model(base, torch.float32), load_tokenizer(base)


@pytest.fixture(params=["gpt2", "llama"])
def speaker(request: pytest.FixtureRequest, tiny_gpt2: Path) -> tuple[Speaker, PreTrainedTokenizerBase]:
    if request.param == "llama":
        model, tokenizer = request.getfixturevalue("llama")
        return speaker_of(model), tokenizer
    base = Base("tiny", "", tiny_gpt2)
    return speaker_of(load_model(base, torch.float32)), load_tokenizer(base)


def test_a_llama_speaks_by_hand_as_it_does_by_transformers(
    llama: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = llama
    by_hand, plain = speaker_of(model), Plain(model)
    assert isinstance(by_hand, Lean)
    ours, theirs = by_hand.decoder(4), plain.decoder(4)
    for place in range(40):
        ids = torch.arange(4) + place
        torch.testing.assert_close(ours.read(ids), theirs.read(ids), atol=1e-4, rtol=1e-4)
    ours.keep(torch.tensor([0, 2, 3]))
    theirs.keep(torch.tensor([0, 2, 3]))
    ids = torch.tensor([7, 8, 9])
    torch.testing.assert_close(ours.read(ids), theirs.read(ids), atol=1e-4, rtol=1e-4)
    sampling = Sampling()
    assert practise(by_hand, tokenizer, PROMPTS, sampling, 3) == practise(plain, tokenizer, PROMPTS, sampling, 3)


def test_each_prompt_is_gone_on_with_as_it_would_be_alone(speaker: tuple[Speaker, PreTrainedTokenizerBase]) -> None:
    """With one likeliest token there is nothing to draw."""
    greedy = Sampling(top_k=1, min_tokens=1)
    together = practise(*speaker, PROMPTS, greedy, 1)
    assert together == [practise(*speaker, [prompt], greedy, 1)[0] for prompt in PROMPTS]
    assert all(text.startswith(prompt) for text, prompt in zip(together, PROMPTS, strict=True))


def test_what_is_cut_short_trails_off_and_what_ended_does_not(
    speaker: tuple[Speaker, PreTrainedTokenizerBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy = Sampling(top_k=1, min_tokens=1)
    monkeypatch.setattr(conversing, "PRACTICE_TOKENS", 2)
    (cut,) = practise(*speaker, ["I"], greedy, 1)
    assert cut.endswith("…")
    end = separator_id(speaker[1])
    monkeypatch.setattr(conversing, "_draw", lambda logits, *_: torch.full((len(logits), 1), end))
    assert practise(*speaker, ["I"], greedy, 1) == ["I"]


def test_there_are_as_many_as_were_asked_for_and_the_same_for_a_seed(
    speaker: tuple[Speaker, PreTrainedTokenizerBase],
) -> None:
    first = converse(*speaker, 13, Sampling(max_tokens=40), 3)
    assert len(first) == 13
    assert converse(*speaker, 13, Sampling(max_tokens=40), 3) == first
    assert converse(*speaker, 13, Sampling(max_tokens=40), 4) != first


def test_no_row_is_shorter_or_longer_than_the_recipe_says(
    speaker: tuple[Speaker, PreTrainedTokenizerBase],
) -> None:
    voice, tokenizer = speaker
    end, sampling = separator_id(tokenizer), Sampling(min_tokens=10, max_tokens=30)
    rows = conversing._side_by_side(voice.decoder(20), [[end]] * 20, [30] * 20, end, sampling, 3)
    assert all(row[0] == end and 11 <= len(row) <= 30 for row in rows)
    assert all(end not in row[1:-1] for row in rows)


def test_packing_rows_anew_changes_nothing_of_what_they_go_on_with(
    speaker: tuple[Speaker, PreTrainedTokenizerBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one likeliest token there is nothing to draw, so that any mix-up of rows and cache would be seen."""
    greedy = Sampling(top_k=1, min_tokens=1, max_tokens=40)
    monkeypatch.setattr(conversing, "CROWDED", 1.0)
    packed = converse(*speaker, 6, greedy, 3)
    monkeypatch.setattr(conversing, "CROWDED", 0.0)
    assert converse(*speaker, 6, greedy, 3) == packed


def test_tokens_come_as_often_as_their_chances_say(speaker: tuple[Speaker, PreTrainedTokenizerBase]) -> None:
    voice, tokenizer = speaker
    sampling = Sampling(top_k=4, top_p=1.0, min_tokens=1, max_tokens=2)
    end, many = separator_id(tokenizer), 4_000
    drawn = conversing._side_by_side(voice.decoder(many), [[end]] * many, [2] * many, end, sampling, 1)
    counted = Counter(row[1] for row in drawn)
    logits = voice.decoder(1).read(torch.tensor([end]))[0]
    best = logits.topk(4)
    for token, chance in zip(best.indices.tolist(), best.values.softmax(dim=-1).tolist(), strict=True):
        assert counted[token] / len(drawn) == pytest.approx(chance, abs=0.03)
    assert set(counted) == set(best.indices.tolist())
