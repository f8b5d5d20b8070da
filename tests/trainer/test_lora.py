"""The leaner way through a LoRA layer is peft's own, value for value and gradient for gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from tests.tiny import load_tiny
from tests.trainer.jobs import PEFT_WARNING
from trainer.lora import LeanLinear, add_adapters
from trainer.recipes import MYNAH

pytestmark = pytest.mark.filterwarnings(PEFT_WARNING)

TOKENS = torch.tensor([[0, 9, 40, 300, 77, 12, 5]])


def _peft(model: PreTrainedModel) -> PeftModel:
    settings = LoraConfig(r=MYNAH.rank, lora_alpha=MYNAH.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, settings)
    assert isinstance(adapted, PeftModel)
    return adapted


def _filled(model: PeftModel) -> PeftModel:
    """Adapters with something in both halves, the same for the same names."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.requires_grad:
                weight.copy_(0.05 * torch.randn(weight.shape, generator=generator))
    return model


def _loss_and_gradients(model: PeftModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    logits = model(input_ids=TOKENS).logits
    loss = logits.float().log_softmax(-1)[0, :-1].gather(1, TOKENS[0, 1:, None]).mean()
    loss.backward()
    return logits.detach(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def test_lean_layer_computes_what_peft_computes(tiny_llama: Path) -> None:
    lean, plain = _filled(add_adapters(load_tiny(tiny_llama), MYNAH)), _filled(_peft(load_tiny(tiny_llama)))
    layers = [module for module in lean.modules() if isinstance(module, LeanLinear)]
    assert len(layers) == 2 * 7
    logits, gradients = _loss_and_gradients(lean)
    expected_logits, expected = _loss_and_gradients(plain)
    torch.testing.assert_close(logits, expected_logits)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_lean_layer_merges_as_pefts_does(tiny_llama: Path) -> None:
    adapted = _filled(add_adapters(load_tiny(tiny_llama), MYNAH))
    with torch.no_grad():
        apart = adapted(input_ids=TOKENS).logits
        merged = adapted.merge_and_unload()(input_ids=TOKENS).logits
    torch.testing.assert_close(merged, apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_adapters_are_learned_in_fp32(tiny_llama: Path, precision: torch.dtype) -> None:
    adapted = add_adapters(load_tiny(tiny_llama), MYNAH)
    for weight in adapted.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.to(precision)
    _, gradients = _loss_and_gradients(adapted)
    assert gradients
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
