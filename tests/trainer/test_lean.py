"""The passes written by hand compute what transformers, peft and autograd compute, value for value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tiny import load_tiny
from tests.trainer.jobs import PEFT_WARNING
from trainer.lean.head import MOST_TOKENS
from trainer.lean.model import Lean, fits
from trainer.learner import Plain, learner_of
from trainer.lora import add_adapters
from trainer.packing import Row
from trainer.recipes import MYNAH, Recipe

TOKENS = 300
"""Fewer than the tiny vocabulary has."""

pytestmark = [pytest.mark.filterwarnings(PEFT_WARNING), pytest.mark.usefixtures("cores")]


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"])
def cores(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def _row(*sizes: int) -> Row:
    draw = random.Random(sum(sizes))
    return Row(tuple((0, *(draw.randrange(TOKENS) for _ in range(size - 1)), 0) for size in sizes))


def _adapted(base: Path | LlamaConfig, recipe: Recipe = MYNAH) -> PeftModel:
    """A model whose adapters hold something in both halves, the same for the same names."""
    torch.manual_seed(5)
    model = LlamaForCausalLM(base) if isinstance(base, LlamaConfig) else load_tiny(base)
    adapted = add_adapters(model, recipe)
    with torch.no_grad():
        for _, weight in sorted(adapted.named_parameters()):
            if weight.requires_grad:
                weight.normal_(std=0.05)
    return adapted


def _gradients(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


ROWS = {"one post": _row(12), "several": _row(3, 9, 1, 20), "more than the head takes": _row(MOST_TOKENS - 10, 30)}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_loss_and_gradients_are_those_of_autograd(tiny_llama: Path, row: Row, smoothing: float) -> None:
    lean, plain = _adapted(tiny_llama), _adapted(tiny_llama)
    loss = Lean(lean).learn(row, smoothing)
    assert loss == pytest.approx(Plain(plain).learn(row, smoothing), rel=1e-5)
    expected = _gradients(plain)
    gradients = _gradients(lean)
    assert gradients.keys() == expected.keys()
    assert len(gradients) == 2 * 7 * 2
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_what_each_token_costs_is_what_transformers_says(tiny_llama: Path) -> None:
    row = ROWS["several"]
    torch.testing.assert_close(
        Lean(_adapted(tiny_llama)).costs(row), Plain(_adapted(tiny_llama)).costs(row), rtol=1e-4, atol=1e-5
    )


def test_no_post_sees_another(tiny_llama: Path) -> None:
    learner = Lean(_adapted(tiny_llama))
    alone, beside = _row(9), _row(20)
    together = learner.costs(Row((*beside.pieces, *alone.pieces)))
    torch.testing.assert_close(together[20:], learner.costs(alone), rtol=1e-4, atol=1e-5)


def test_no_step_is_remembered_by_the_next(tiny_llama: Path) -> None:
    """Copies of the adapters that autograd followed would keep a trace of every step there was."""
    learner = Lean(_adapted(tiny_llama))
    learner.learn(ROWS["several"])
    assert not any(getattr(one._qkv, half).requires_grad for one in learner._blocks for half in ("_down", "_up"))


def test_gradients_add_up_over_rows(tiny_llama: Path) -> None:
    model = _adapted(tiny_llama)
    learner = Lean(model)
    learner.learn(ROWS["one post"])
    once = {name: gradient.clone() for name, gradient in _gradients(model).items()}
    learner.learn(ROWS["one post"])
    for name, gradient in _gradients(model).items():
        torch.testing.assert_close(gradient, 2 * once[name], msg=name)


def test_layers_below_the_first_that_learns_have_no_backward_pass(tiny_llama: Path) -> None:
    recipe = MYNAH.model_copy(update={"first_layer": 1})
    lean, plain = _adapted(tiny_llama, recipe), _adapted(tiny_llama, recipe)
    Lean(lean).learn(ROWS["several"])
    Plain(plain).learn(ROWS["several"])
    gradients = _gradients(lean)
    assert len(gradients) == 7 * 2
    for name, gradient in _gradients(plain).items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_in_bf16_the_gradients_point_where_those_in_fp32_do(tiny_llama: Path) -> None:
    narrow, wide = _adapted(tiny_llama), _adapted(tiny_llama)
    for weight in narrow.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.bfloat16()
    Lean(narrow).learn(ROWS["several"])
    Lean(wide).learn(ROWS["several"])
    expected = _gradients(wide)
    for name, gradient in _gradients(narrow).items():
        assert gradient.dtype == torch.float32
        assert torch.cosine_similarity(gradient.flatten(), expected[name].flatten(), dim=0) > 0.99, name


def test_scaled_rotary_positions_are_those_of_the_base() -> None:
    config = LlamaConfig(
        vocab_size=TOKENS,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    )
    row = _row(40)
    torch.testing.assert_close(
        Lean(_adapted(config)).costs(row), Plain(_adapted(config)).costs(row), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "change", [{"hidden_act": "gelu"}, {"attention_bias": True}, {"mlp_bias": True}, {"attention_dropout": 0.1}]
)
def test_a_llama_that_is_built_otherwise_goes_through_transformers(change: dict[str, Any]) -> None:
    settings: dict[str, Any] = {
        "vocab_size": TOKENS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    }
    assert fits(_adapted(LlamaConfig(**settings)))
    assert not fits(_adapted(LlamaConfig(**settings, **change)))


def test_adapters_with_dropout_and_other_models_go_through_transformers(tiny_llama: Path) -> None:
    assert isinstance(learner_of(_adapted(tiny_llama, MYNAH.model_copy(update={"dropout": 0.1}))), Plain)
    assert isinstance(learner_of(load_tiny(tiny_llama)), Plain)


def test_weights_look_into_the_stacked_ones_and_speak_as_before(tiny_llama: Path) -> None:
    model = _adapted(tiny_llama)
    tokens = torch.tensor([[0, 9, 40, 300, 77]])
    with torch.no_grad():
        before = model(input_ids=tokens).logits
        Lean(model)
        torch.testing.assert_close(model(input_ids=tokens).logits, before)
        merged = model.merge_and_unload()(input_ids=tokens).logits
    torch.testing.assert_close(merged, before, rtol=1e-4, atol=1e-4)
