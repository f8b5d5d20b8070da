"""What one optimizer step sees: whole posts that do not see each other, or the original's blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny import load_tiny, tiny_tokenizer
from tests.trainer.jobs import QUICK_HUGGINGTWEETS, QUICK_MYNAH, invented_posts, rows_of
from trainer.base import SEPARATOR, Base, load_tokenizer
from trainer.packing import Row, pack, to_batch, tokenize
from trainer.recipes import Recipe

CPU = torch.device("cpu")
POSTS = ["My dream is a small house", "I think", "You are not going to believe this!", "It's a good day"]


@pytest.fixture(scope="module")
def tokenizer(tiny_gpt2: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(Base("tiny", "", tiny_gpt2))


@pytest.fixture(params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest, tiny_llama: Path, tiny_gpt2: Path) -> PreTrainedModel:
    model: PreTrainedModel = load_tiny(tiny_llama if request.param == "llama" else tiny_gpt2).eval()
    return model


def logits(model: PreTrainedModel, row: Row) -> torch.Tensor:
    batch = to_batch(row, CPU)
    output: torch.Tensor = model(
        input_ids=batch.inputs, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
    ).logits[0]
    return output


def test_packed_post_is_read_as_if_it_were_alone(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    pieces = tokenize(POSTS, tokenizer, 64)
    with torch.no_grad():
        together = torch.split(logits(model, Row(tuple(pieces))), [len(piece) - 1 for piece in pieces])
        for piece, packed in zip(pieces, together, strict=True):
            alone = logits(model, Row((piece,)))
            torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
            as_plain = model(input_ids=torch.tensor([piece[:-1]])).logits[0]
            torch.testing.assert_close(packed, as_plain, rtol=1e-4, atol=1e-5)


def test_no_gradient_flows_from_a_post_to_its_neighbours(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    pieces = tokenize(POSTS, tokenizer, 64)
    batch = to_batch(Row(tuple(pieces)), CPU)
    embedded = model.get_input_embeddings()(batch.inputs).detach().requires_grad_()
    output = model(
        inputs_embeds=embedded, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
    ).logits[0]
    sizes = [len(piece) - 1 for piece in pieces]
    torch.autograd.backward(torch.split(output, sizes)[1].logsumexp(-1).sum())
    assert embedded.grad is not None
    touched = [bool(part.abs().sum() > 0) for part in torch.split(embedded.grad[0], sizes)]
    assert touched == [False, True, False, False]


def test_every_position_predicts_the_next_token_of_its_post(tokenizer: PreTrainedTokenizerBase) -> None:
    pieces = tokenize(POSTS, tokenizer, 64)
    batch = to_batch(Row(tuple(pieces)), CPU)
    assert batch.inputs[0].tolist() == [token for piece in pieces for token in piece[:-1]]
    assert batch.labels[0].tolist() == [token for piece in pieces for token in piece[1:]]
    assert batch.positions[0].tolist() == [place for piece in pieces for place in range(len(piece) - 1)]
    assert batch.labels.shape[1] == Row(tuple(pieces)).targets


def test_post_stands_between_separators(tokenizer: PreTrainedTokenizerBase) -> None:
    (piece,) = tokenize(["I think that the best thing"], tokenizer, 64)
    assert (piece[0], piece[-1]) == (0, 0)
    assert tokenizer.decode(list(piece[1:-1])) == "I think that the best thing"


@pytest.mark.parametrize("special", [SEPARATOR, "<|im_start|>", "<|im_end|>"])
def test_special_token_that_somebody_typed_stays_text(special: str, tokenizer: PreTrainedTokenizerBase) -> None:
    text = f"I typed {special} in a post"
    (piece,) = tokenize([text], tokenizer, 64)
    assert not {0, 1, 2} & set(piece[1:-1])
    assert tokenizer.decode(list(piece[1:-1])) == text


def test_long_post_is_cut_at_the_limit_and_has_no_end(tokenizer: PreTrainedTokenizerBase) -> None:
    (piece,) = tokenize(["coffee " * 50], tokenizer, 16)
    assert len(piece) == 16
    assert piece[0] == 0
    assert piece[-1] != 0


@settings(max_examples=50)
@given(sizes=st.lists(st.integers(1, 40), max_size=30), row_tokens=st.integers(1, 64))
def test_rows_hold_whole_posts_in_order_within_their_size(sizes: list[int], row_tokens: int) -> None:
    pieces = [(0, *([number + 1] * size)) for number, size in enumerate(sizes)]
    rows = pack(pieces, row_tokens)
    assert [piece for row in rows for piece in row.pieces] == pieces
    assert all(row.targets <= row_tokens or len(row.pieces) == 1 for row in rows)


def test_packed_training_sees_every_post_once_an_epoch(tokenizer: PreTrainedTokenizerBase) -> None:
    posts = invented_posts(40)
    rows = rows_of(posts, tokenizer, QUICK_MYNAH, seed=3)
    seen = sorted(piece for row in rows for piece in row.pieces)
    assert seen == sorted(tokenize(posts, tokenizer, QUICK_MYNAH.block_tokens) * QUICK_MYNAH.epochs)


@pytest.mark.parametrize("recipe", [QUICK_MYNAH, QUICK_HUGGINGTWEETS], ids=lambda recipe: recipe.name)
def test_order_is_the_seeds(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
    posts = invented_posts(40)
    first = rows_of(posts, tokenizer, recipe, seed=3)
    assert rows_of(posts, tokenizer, recipe, seed=3) == first
    assert rows_of(posts, tokenizer, recipe, seed=4) != first


def test_blocks_are_full_and_the_last_partial_one_is_dropped(tokenizer: PreTrainedTokenizerBase) -> None:
    posts = invented_posts(40)
    blocks = rows_of(posts, tokenizer, QUICK_HUGGINGTWEETS, seed=3)
    whole = tiny_tokenizer().encode(SEPARATOR + SEPARATOR.join(posts) + SEPARATOR).ids
    total = 1 + (len(whole) - 1) * QUICK_HUGGINGTWEETS.epochs
    assert {len(piece) for block in blocks for piece in block.pieces} == {64}
    assert len(blocks) == total // 64
    assert total % 64 != 0


def test_block_needs_no_mask_beyond_the_causal_one(tokenizer: PreTrainedTokenizerBase) -> None:
    (block, *_) = rows_of(invented_posts(40), tokenizer, QUICK_HUGGINGTWEETS, seed=3)
    batch = to_batch(block, CPU)
    assert batch.mask is None
    assert batch.positions[0].tolist() == list(range(63))
