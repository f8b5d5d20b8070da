"""A base in llama.cpp: its vocabulary, its adapters, and contexts that decode rows of several sequences at once.

Several contexts share a base, so that each core may decode by itself; one that is alone may have more than one core.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.errors import VoiceError
from bot.voice.llama_library import Batch, ChainParams, open_library
from trainer.recipes import Sampling

ROWS = 128
"""Most tokens of one decode. Posts are short, and small batches keep the work buffers small."""

_PIECE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One token at one place of one sequence; with `wants_logits` what comes next is worked out, too."""

    token: int
    place: int
    sequence: int
    wants_logits: bool


class LlamaBase:
    """A .gguf file, memory-mapped once, with what may be asked of it from any thread."""

    def __init__(self, file: Path) -> None:
        self._c = open_library()
        self._name = file.name
        model = self._c.llama_model_default_params()
        # What repacking wins for a batch it loses alone, and its copy is not shared with the file's pages.
        model.use_extra_bufts = False
        self._model = self._c.llama_model_load_from_file(str(file).encode(), model)
        if self._model is None:
            raise _unloadable(self._name)
        self._vocabulary = self._c.llama_model_get_vocab(self._model)

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, as plain text: no special token is read out of it."""
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 1))()
        found = self._c.llama_tokenize(self._vocabulary, data, len(data), ids, len(ids), False, False)
        if found < 0:
            raise VoiceError("llama.cpp did not tokenize the text.", "Report this with the base's name.")
        return list(ids[:found])

    def piece(self, token: int) -> bytes:
        """What a token spells; special ones spell nothing."""
        room = ctypes.create_string_buffer(_PIECE_BYTES)
        size = self._c.llama_token_to_piece(self._vocabulary, token, room, _PIECE_BYTES, 0, False)
        return room.raw[: max(size, 0)]

    def ends(self, token: int) -> bool:
        """Whether a token ends a text."""
        return bool(self._c.llama_vocab_is_eog(self._vocabulary, token))

    def load_adapter(self, file: Path) -> int:
        """Read an adapter beside what is being decoded. Raises VoiceError."""
        adapter: int | None = self._c.llama_adapter_lora_init(self._model, str(file).encode())
        if adapter is None:
            raise VoiceError(f"llama.cpp cannot load the adapter {file.name}.", "Check memory with `mynah doctor`.")
        return adapter

    def free_adapter(self, adapter: int) -> None:
        """Let go of an adapter that every context has dropped."""
        self._c.llama_adapter_lora_free(adapter)

    def context(self, slots: int, context_tokens: int) -> LlamaContext:
        """Room for `slots` sequences of `context_tokens` each. Raises VoiceError where memory is short."""
        parameters = self._c.llama_context_default_params()
        outputs = max(slots, 16)
        values = {
            "n_ctx": slots * context_tokens,
            "n_batch": ROWS,
            "n_ubatch": ROWS,
            "n_seq_max": slots,
            "n_outputs_max": outputs,
            "n_outputs_max_per_seq": outputs,
            "n_threads": 1,
            "n_threads_batch": 1,
            # Otherwise llama.cpp decodes sequences one by one whose numbers do not follow each other.
            "kv_unified": True,
        }
        for name, value in values.items():
            setattr(parameters, name, value)
        context = self._c.llama_init_from_model(self._model, parameters)
        if context is None:
            raise _unloadable(self._name)
        return LlamaContext(self._c, context, self._c.llama_vocab_n_tokens(self._vocabulary), outputs)

    def sampler(self, sampling: Sampling, seed: int) -> int:
        """Temperature, top-k and top-p as transformers applies them, and no other; it must be freed.

        Top-k comes first: it takes the same tokens as after the temperature, and leaves 50 instead of 49,152 to go on.
        """
        chain: int = self._c.llama_sampler_chain_init(ChainParams(True))
        for step in (
            self._c.llama_sampler_init_top_k(sampling.top_k),
            self._c.llama_sampler_init_temp(sampling.temperature),
            self._c.llama_sampler_init_top_p(sampling.top_p, 1),
            self._c.llama_sampler_init_dist(seed),
        ):
            self._c.llama_sampler_chain_add(chain, step)
        return chain

    def free_sampler(self, sampler: int) -> None:
        self._c.llama_sampler_free(sampler)

    def close(self) -> None:
        """Free everything, adapters included; its contexts come first."""
        self._c.llama_model_free(self._model)


class LlamaContext:
    """What is being decoded on a base, for the one thread that calls this."""

    def __init__(self, library: ctypes.CDLL, context: int, vocabulary_size: int, outputs: int) -> None:
        self._c = library
        self._context = context
        self._vocabulary_size = vocabulary_size
        self.outputs = outputs
        """Most rows of one decode that want logits."""
        self._memory = library.llama_get_memory(context)
        self._adapter: int | None = None
        self._cores = 1
        self._rows = _Rows(ROWS)

    def decode(self, adapter: int | None, rows: Sequence[Row], cores: int = 1) -> None:
        """Put rows behind what their sequences hold. Raises VoiceError."""
        if adapter != self._adapter:
            self._apply(adapter)
        if cores != self._cores:
            self._c.llama_set_n_threads(self._context, cores, cores)
            self._cores = cores
        status = self._c.llama_decode(self._context, self._rows.filled(rows))
        if status != 0:
            raise VoiceError(f"llama.cpp stopped while it was decoding ({status}).", "Try again.")

    def drop(self, adapter: int) -> None:
        """Forget an adapter: the next one may lie at the same address, and must not be taken for it."""
        if self._adapter == adapter:
            self._apply(None)

    def sample(self, sampler: int, row: int) -> int:
        """Draw what comes after a row of the last decode."""
        return int(self._c.llama_sampler_sample(sampler, self._context, row))

    def logprob(self, token: int, row: int) -> float:
        """The natural log probability of `token` after a row of the last decode."""
        address = self._c.llama_get_logits_ith(self._context, row)
        logits = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), (self._vocabulary_size,))
        largest = float(logits.max())
        return float(logits[token]) - largest - float(np.log(np.exp(logits - largest, dtype=np.float64).sum()))

    def share(self, source: int, target: int, tokens: int) -> None:
        """Have an empty sequence begin with the first tokens of another; nothing is copied."""
        self._c.llama_memory_seq_cp(self._memory, source, target, 0, tokens)

    def forget(self, sequence: int) -> None:
        """Empty a sequence."""
        self._c.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def forget_all(self) -> None:
        """Begin anew: what is decoded next lies where it would after a start, so that sums are rounded as then."""
        self._c.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        """Free it."""
        self._c.llama_free(self._context)

    def _apply(self, adapter: int | None) -> None:
        adapters = (ctypes.c_void_p * 1)(adapter)
        scales = (ctypes.c_float * 1)(1.0)
        self._c.llama_set_adapters_lora(self._context, adapters, 0 if adapter is None else 1, scales)
        self._adapter = adapter


def _unloadable(name: str) -> VoiceError:
    return VoiceError(f"llama.cpp cannot load {name}.", "Check memory and the base's file with `mynah doctor`.")


class _Rows:
    """The arrays behind a `llama_batch`, made once."""

    def __init__(self, most: int) -> None:
        self._tokens, self._places = (ctypes.c_int32 * most)(), (ctypes.c_int32 * most)()
        self._sequences, self._ones = (ctypes.c_int32 * most)(), (ctypes.c_int32 * most)(*[1] * most)
        self._wanted = (ctypes.c_int8 * most)()
        first, size = ctypes.addressof(self._sequences), ctypes.sizeof(ctypes.c_int32)
        self._pointers = (ctypes.c_void_p * most)(*(first + size * place for place in range(most)))

    def filled(self, rows: Sequence[Row]) -> Batch:
        for place, row in enumerate(rows):
            self._tokens[place], self._places[place] = row.token, row.place
            self._sequences[place], self._wanted[place] = row.sequence, row.wants_logits
        arrays = (self._tokens, None, self._places, self._ones, self._pointers, self._wanted)
        return Batch(len(rows), *(array and ctypes.addressof(array) for array in arrays))
