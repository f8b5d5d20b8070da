"""llama.h, as far as the voice needs it: the C interface that xllamacpp's one binary exports, called by ctypes.

xllamacpp's own face is a server whose adapters are fixed when it starts. The C interface loads an adapter in
milliseconds, into a base that goes on speaking, and leaves to us what is decoded when.

The structures are those of llama.cpp b11549 (https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h).
They are passed by value, so a build that lays them out otherwise is found by its defaults and refused.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bot.errors import VoiceError

Pointer = ctypes.c_void_p
_int32, _float, _bool, _size = ctypes.c_int32, ctypes.c_float, ctypes.c_bool, ctypes.c_size_t
_text = ctypes.c_char_p
_SPARE_BYTES = 256
"""Behind each structure, so that a build with longer ones writes into nothing of ours before it is refused."""


class ModelParams(ctypes.Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", Pointer),
        ("tensor_buft_overrides", Pointer),
        ("n_gpu_layers", _int32),
        ("split_mode", _int32),
        ("load_mode", _int32),
        ("lazy_mode", _int32),
        ("main_gpu", _int32),
        ("tensor_split", Pointer),
        ("progress_callback", Pointer),
        ("progress_callback_user_data", Pointer),
        ("kv_overrides", Pointer),
        ("vocab_only", _bool),
        ("check_tensors", _bool),
        ("use_extra_bufts", _bool),
        ("no_host", _bool),
        ("no_alloc", _bool),
        ("load_mtp", _bool),
        ("spare", ctypes.c_char * _SPARE_BYTES),
    )


class ContextParams(ctypes.Structure):
    """`llama_context_params`."""

    _fields_ = (
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("n_seq_max", ctypes.c_uint32),
        ("n_rs_seq", ctypes.c_uint32),
        ("n_outputs_max", ctypes.c_uint32),
        ("n_outputs_max_per_seq", ctypes.c_uint32),
        ("n_threads", _int32),
        ("n_threads_batch", _int32),
        ("ctx_type", _int32),
        ("rope_scaling_type", _int32),
        ("pooling_type", _int32),
        ("attention_type", _int32),
        ("flash_attn_type", _int32),
        ("rope_freq_base", _float),
        ("rope_freq_scale", _float),
        ("yarn_ext_factor", _float),
        ("yarn_attn_factor", _float),
        ("yarn_beta_fast", _float),
        ("yarn_beta_slow", _float),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", _float),
        ("cb_eval", Pointer),
        ("cb_eval_user_data", Pointer),
        ("type_k", _int32),
        ("type_v", _int32),
        ("moe_cache_size", _size),
        ("abort_callback", Pointer),
        ("abort_callback_data", Pointer),
        ("embeddings", _bool),
        ("offload_kqv", _bool),
        ("no_perf", _bool),
        ("op_offload", _bool),
        ("swa_full", _bool),
        ("kv_unified", _bool),
        ("samplers", Pointer),
        ("n_samplers", _size),
        ("ctx_other", Pointer),
        ("spare", ctypes.c_char * _SPARE_BYTES),
    )


class Batch(ctypes.Structure):
    """`llama_batch`: the tokens of one call of `llama_decode`."""

    _fields_ = (
        ("n_tokens", _int32),
        ("token", Pointer),
        ("embd", Pointer),
        ("pos", Pointer),
        ("n_seq_id", Pointer),
        ("seq_id", Pointer),
        ("logits", Pointer),
    )


class ChainParams(ctypes.Structure):
    """`llama_sampler_chain_params`."""

    _fields_ = (("no_perf", _bool),)


_LOG = ctypes.CFUNCTYPE(None, _int32, _text, Pointer)

_FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LOG, Pointer]),
    "llama_model_default_params": (ModelParams, []),
    "llama_model_load_from_file": (Pointer, [_text, ModelParams]),
    "llama_model_free": (None, [Pointer]),
    "llama_model_get_vocab": (Pointer, [Pointer]),
    "llama_vocab_n_tokens": (_int32, [Pointer]),
    "llama_vocab_is_eog": (_bool, [Pointer, _int32]),
    "llama_tokenize": (_int32, [Pointer, _text, _int32, Pointer, _int32, _bool, _bool]),
    "llama_token_to_piece": (_int32, [Pointer, _int32, Pointer, _int32, _int32, _bool]),
    "llama_adapter_lora_init": (Pointer, [Pointer, _text]),
    "llama_adapter_lora_free": (None, [Pointer]),
    "llama_context_default_params": (ContextParams, []),
    "llama_init_from_model": (Pointer, [Pointer, ContextParams]),
    "llama_free": (None, [Pointer]),
    "llama_set_adapters_lora": (_int32, [Pointer, Pointer, _size, Pointer]),
    "llama_set_n_threads": (None, [Pointer, _int32, _int32]),
    "llama_decode": (_int32, [Pointer, Batch]),
    "llama_get_logits_ith": (Pointer, [Pointer, _int32]),
    "llama_get_memory": (Pointer, [Pointer]),
    "llama_memory_clear": (None, [Pointer, _bool]),
    "llama_memory_seq_rm": (_bool, [Pointer, _int32, _int32, _int32]),
    "llama_memory_seq_cp": (None, [Pointer, _int32, _int32, _int32, _int32]),
    "llama_sampler_chain_init": (Pointer, [ChainParams]),
    "llama_sampler_chain_add": (None, [Pointer, Pointer]),
    "llama_sampler_init_top_k": (Pointer, [_int32]),
    "llama_sampler_init_temp": (Pointer, [_float]),
    "llama_sampler_init_top_p": (Pointer, [_float, _size]),
    "llama_sampler_init_dist": (Pointer, [ctypes.c_uint32]),
    "llama_sampler_sample": (_int32, [Pointer, Pointer, _int32]),
    "llama_sampler_free": (None, [Pointer]),
}

_DEFAULTS: Mapping[str, Mapping[str, float | None]] = {
    "llama_model_default_params": dict(
        kv_overrides=None, vocab_only=False, check_tensors=False, use_extra_bufts=True, no_host=False, no_alloc=False
    ),
    "llama_context_default_params": dict(
        n_ctx=512,
        n_batch=2048,
        n_ubatch=512,
        n_seq_max=1,
        n_threads=4,
        flash_attn_type=-1,
        rope_freq_base=0.0,
        yarn_ext_factor=-1.0,
        yarn_beta_slow=-1.0,
        defrag_thold=-1.0,
        type_k=1,
        type_v=1,
        abort_callback=None,
        embeddings=False,
        offload_kqv=True,
        no_perf=True,
        swa_full=True,
        kv_unified=False,
        samplers=None,
        ctx_other=None,
    ),
}
"""What the library sets by itself: found where we look for it, the structures are laid out as we think."""


_say_nothing = _LOG(lambda _level, _text, _data: None)
"""What llama.cpp tells may hold what it was given."""


@cache
def open_library() -> ctypes.CDLL:
    """llama.cpp with its functions declared, quiet and ready. Raises VoiceError where this build is none of those."""
    try:
        library = ctypes.CDLL(str(_binary()))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, list(arguments)
    except (OSError, AttributeError) as error:
        raise VoiceError(
            "xllamacpp's build of llama.cpp does not export the functions of llama.h.", "Reinstall: make clean run."
        ) from error
    library.llama_log_set(_say_nothing, None)
    for name, expected in _DEFAULTS.items():
        found = getattr(library, name)()
        if any(getattr(found, field) != value for field, value in expected.items()):
            raise VoiceError(
                "This release of xllamacpp lays out llama.cpp's settings in a way unknown here.",
                "Install the release that requirements/run.lock names: make clean run.",
            )
    library.llama_backend_init()
    return library


def _binary() -> Path:
    """The extension module itself: ctypes opens it as the plain library that it also is."""
    spec = find_spec("xllamacpp")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    return next((path for path in sorted(folder.glob("xllamacpp*")) if path.suffix in {".so", ".pyd"}), folder)
