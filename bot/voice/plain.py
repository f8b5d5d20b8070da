"""The voice of transformers: any causal LM in a folder, for what llama.cpp cannot take.

Imported only by the worker. Only local files are read, weights only as safetensors, and no code that came with them
is run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.utils import logging

from bot.errors import VoiceError
from bot.voice.base import END_OF_TEXT, Cancelled, Heard, Speaker, TextScore, UnsupportedSpeaker, Utterance, ignore
from bot.voice.drawing import Draw, context_ids, draw_posts, prompt_too_long, text_too_long, tidy_prompt
from trainer.recipes import Sampling

_MODELS_KEPT = 2


@dataclass(frozen=True, slots=True)
class _Voice:
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    end: int
    special_tokens: frozenset[str]
    context_tokens: int

    def encode(self, text: str) -> list[int]:
        """The ids of a text, as plain text: no special token is read out of it."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def decode(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return cast(str, text)


class PlainEngine:
    """An `Engine` on transformers. One answer is made at a time; its samples are made together."""

    def __init__(self, context_tokens: int, threads: int) -> None:
        self._context_tokens = context_tokens
        self._voices: OrderedDict[Path, _Voice] = OrderedDict()
        self._one_at_a_time = threading.Lock()
        logging.disable_progress_bar()  # what is loaded is nobody's news
        if threads:
            torch.set_num_threads(threads)

    def load(self, speaker: Speaker) -> None:
        with self._one_at_a_time:
            self._voice(speaker)

    def speak(self, utterance: Utterance, cancelled: threading.Event, heard: Heard = ignore) -> list[str]:
        with self._one_at_a_time, torch.inference_mode():
            voice = self._voice(utterance.speaker)
            prompt = tidy_prompt(utterance.prompt, voice.special_tokens)
            ids = [voice.end, *voice.encode(prompt)]
            limit = min(utterance.sampling.max_tokens, voice.context_tokens)
            if len(ids) >= limit:
                raise prompt_too_long(prompt, len(ids) - 1, limit - 2)
            room = voice.context_tokens - limit
            before = context_ids(utterance.context, voice.special_tokens, voice.encode, voice.end, room)

            def draw(seeds: Sequence[int]) -> list[Draw]:
                samples = _sample(voice, [*before, *ids], limit - len(ids), seeds, utterance.sampling, cancelled)
                return [replace(sample, tokens=sample.tokens - len(before)) for sample in samples]

            return draw_posts(utterance, prompt, voice.special_tokens, draw, cancelled, heard)

    def logprobs(self, speaker: Speaker, texts: list[str], cancelled: threading.Event) -> list[TextScore]:
        scores = []
        with self._one_at_a_time, torch.inference_mode():
            voice = self._voice(speaker)
            for text in texts:
                if cancelled.is_set():
                    raise Cancelled("The request was cancelled.")
                scores.append(_score(voice, voice.encode(text)))
        return scores

    def close(self) -> None:
        self._voices.clear()

    def _voice(self, speaker: Speaker) -> _Voice:
        if speaker.model is None:
            raise UnsupportedSpeaker(f"{speaker.key} has no exported model that transformers could load.")
        voice = self._voices.get(speaker.model)
        if voice is None:
            voice = self._voices[speaker.model] = _load(speaker, speaker.model, self._context_tokens)
        self._voices.move_to_end(speaker.model)
        while len(self._voices) > _MODELS_KEPT:
            self._voices.popitem(last=False)
        return voice


def _load(speaker: Speaker, folder: Path, context_tokens: int) -> _Voice:
    if not (folder / "config.json").is_file():
        raise VoiceError(f"The model of {speaker.key} is not in {folder}.", "Write it again from the database.")
    bf16 = any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if bf16 else torch.float32,
        )
    except (OSError, ValueError) as error:
        raise VoiceError(
            f"transformers cannot load the model of {speaker.key} from {folder}.", "Write it again from the database."
        ) from error
    end = tokenizer.get_vocab().get(END_OF_TEXT)
    if end is None:
        raise UnsupportedSpeaker(f"The base of {speaker.key} has no {END_OF_TEXT} token.")
    # What a folder says about sampling is its author's taste; ours comes with each request.
    model.generation_config = GenerationConfig()
    model.config.pad_token_id = None  # nothing is padded here, and transformers warns where a prompt begins with it
    limit = int(getattr(model.config, "max_position_embeddings", context_tokens))
    model.eval()
    return _Voice(model, tokenizer, end, frozenset(tokenizer.all_special_tokens), min(limit, context_tokens))


def _sample(
    voice: _Voice,
    ids: Sequence[int],
    room: int,
    seeds: Sequence[int],
    sampling: Sampling,
    cancelled: threading.Event,
) -> list[Draw]:
    """One sample a seed, in one batch."""
    prompts = torch.tensor([list(ids)] * len(seeds))
    warp: list[LogitsProcessor] = [
        TemperatureLogitsWarper(sampling.temperature),
        TopKLogitsWarper(sampling.top_k),
        TopPLogitsWarper(sampling.top_p),
        _SeededChoice(seeds),
    ]
    output = cast(GenerationMixin, voice.model).generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        generation_config=GenerationConfig(
            max_new_tokens=room, do_sample=False, eos_token_id=voice.end, pad_token_id=voice.end
        ),
        logits_processor=LogitsProcessorList(warp),
        stopping_criteria=StoppingCriteriaList([_FirstLine(voice, cancelled)]),
    )
    return [_draw(voice, len(ids), row[len(ids) :]) for row in output.tolist()]


def _draw(voice: _Voice, prompt_tokens: int, continuation: list[int]) -> Draw:
    if voice.end in continuation:
        continuation = continuation[: continuation.index(voice.end)]
    return Draw(voice.decode(continuation), prompt_tokens + len(continuation))


def _score(voice: _Voice, ids: list[int]) -> TextScore:
    if len(ids) + 2 > voice.context_tokens:
        raise text_too_long(len(ids), voice.context_tokens - 2)
    logits = voice.model(torch.tensor([[voice.end, *ids]])).logits[0]
    logprobs = logits.float().log_softmax(-1)
    chosen = logprobs.gather(-1, torch.tensor([*ids, voice.end]).unsqueeze(-1)).squeeze(-1).double()
    return TextScore(float(chosen[:-1].sum()), len(ids), float(chosen[-1]))


class _SeededChoice(LogitsProcessor):
    """Sampling as the largest of logits + Gumbel noise, each row with a generator of its own.

    The Gumbel-max trick (Gumbel 1954): the arg max is distributed as a draw from the softmax.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        uniform = torch.stack([torch.rand(scores.shape[-1], generator=one) for one in self._generators])
        return cast(torch.FloatTensor, scores.float() - torch.log(-torch.log(uniform.clamp_min(1e-20))))


class _FirstLine(StoppingCriteria):
    """A row is done at its first newline; all are when nobody waits any more."""

    def __init__(self, voice: _Voice, cancelled: threading.Event) -> None:
        self._voice = voice
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object) -> torch.BoolTensor:
        if self._cancelled.is_set():
            raise Cancelled("The request was cancelled.")
        done = ["\n" in self._voice.decode([token]) for token in input_ids[:, -1].tolist()]
        return cast(torch.BoolTensor, torch.tensor(done))
