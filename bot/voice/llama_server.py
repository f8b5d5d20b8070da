"""One llama.cpp server in this process, spoken to by token ids.

Text goes in only through `tokenize`, which never reads a special token out of it: `<|im_start|>` in a prompt is a few
ordinary tokens. A prompt is always given as ids, so no template, no bos and no other default of the base applies.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xllamacpp

from bot.errors import VoiceError
from trainer.recipes import Sampling

_QUIET = -1
_CERTAIN = 1e4
"""Added to a logit, it outweighs every other."""
_EVERY_TOKEN = 1 << 20
_TOKENIZE_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class ServerShape:
    """How much one server may do at once. `threads` 0 takes the physical cores; `context_tokens` is a slot's."""

    slots: int
    context_tokens: int
    threads: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What was written, and how many tokens it took, the closing one not counted."""

    text: str
    tokens: int


class LlamaServer:
    """A base with fixed adapters. Its methods may be called from any thread and wait for a free slot."""

    def __init__(self, base: Path, adapters: Sequence[Path], shape: ServerShape) -> None:
        self._adapters = len(adapters)
        # The library opens an HTTP port on 127.0.0.1 that cannot be turned off; the key shuts out everybody else.
        self._key = secrets.token_hex(16)
        try:
            self._server: xllamacpp.Server | None = xllamacpp.Server(_parameters(base, adapters, shape, self._key))
        except RuntimeError as error:
            raise VoiceError(
                f"llama.cpp cannot load {base.name} with {len(adapters)} adapters.",
                "Check memory and the base's file with `mynah doctor`.",
            ) from error
        address = urlsplit(self._server.listening_address)
        self._host, self._port = address.hostname or "127.0.0.1", address.port

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, as plain text."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TOKENIZE_TIMEOUT_S)
        body = json.dumps({"content": text, "add_special": False, "parse_special": False})
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/tokenize", body, headers)
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise VoiceError("llama.cpp did not tokenize the text.", "Try again.") from error
        finally:
            connection.close()
        ids: list[int] = answer["tokens"]
        return ids

    def sample(self, ids: Sequence[int], room: int, seed: int, sampling: Sampling, adapter: int | None) -> Completion:
        """Go on from `ids` for at most `room` tokens, to the end of the post or of its first line.

        Temperature, top-k and top-p are applied in the order of transformers, and no other sampler is.
        """
        answer = self._complete(
            {
                "prompt": list(ids),
                "n_predict": room,
                "seed": seed,
                "samplers": ["temperature", "top_k", "top_p"],
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "stop": ["\n"],
            },
            adapter,
        )
        ended = answer["choices"][0]["finish_reason"] == "stop"
        return Completion(answer["choices"][0]["text"], answer["usage"]["completion_tokens"] - ended)

    def logprob(self, ids: Sequence[int], token: int, end: int, adapter: int | None) -> float:
        """The natural log probability of `token` after `ids`, whose common beginning with the last call is cached.

        llama.cpp reports it for the token that it chose, from before any sampler; a bias leaves it no other choice.
        It reports nothing of a token that is half a character, so there `end` is chosen and all others are listed.
        """
        chosen = self._force(ids, token, 1, adapter)
        if chosen is None:
            listed = self._force(ids, end, _EVERY_TOKEN, adapter) or {"top_logprobs": []}
            chosen = next((entry for entry in listed["top_logprobs"] if entry["id"] == token), None)
        if chosen is None or chosen["id"] != token:
            raise VoiceError("llama.cpp did not follow the text it was to score.", "Report this with the base's name.")
        return float(chosen["logprob"])

    def _force(self, ids: Sequence[int], token: int, listed: int, adapter: int | None) -> dict[str, Any] | None:
        """What llama.cpp reports of the token after `ids`, and of the `listed` likeliest ones."""
        request = {
            "prompt": list(ids),
            "n_predict": 1,
            "logit_bias": [[token, _CERTAIN]],
            "samplers": ["top_k"],
            "top_k": 1,
            "n_probs": listed,
        }
        logprobs: dict[str, Any] | None = self._complete(request, adapter)["choices"][0].get("logprobs")
        return logprobs["content"][0] if logprobs and logprobs["content"] else None

    def close(self) -> None:
        """Stop the server and free its memory; waits for its loop to end."""
        self._server = None

    def _complete(self, request: dict[str, Any], adapter: int | None) -> dict[str, Any]:
        if self._server is None:
            raise VoiceError("The voice is closing.", "Try again after a restart.")
        lora = [{"id": index, "scale": 1.0 if index == adapter else 0.0} for index in range(self._adapters)]
        answer: dict[str, Any] = self._server.handle_completions({**request, "lora": lora, "cache_prompt": True})
        if "choices" not in answer:
            reason = answer.get("error", answer).get("message", "no reason given")
            raise VoiceError(f"llama.cpp refused the request: {reason}.", "Try a shorter prompt.")
        return answer


def _parameters(base: Path, adapters: Sequence[Path], shape: ServerShape, key: str) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(base)
    parameters.n_parallel = shape.slots
    parameters.n_ctx = shape.slots * shape.context_tokens
    # Posts are short: small batches keep the work buffers small.
    parameters.n_batch = parameters.n_ubatch = min(128, shape.context_tokens)
    parameters.cache_ram_mib = 0
    parameters.fit_params = False
    parameters.warmup = False
    parameters.verbosity = _QUIET
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.lora_init_without_apply = True
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in adapters]
    for processor in (parameters.cpuparams, parameters.cpuparams_batch):
        processor.n_threads = shape.threads or -1
        # Threads that wait give their core away: a trainer may need it.
        processor.poll = 0
    return parameters
