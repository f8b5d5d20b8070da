"""Real models small enough to make in a second: a Llama as a GGUF file, a GPT-2 as a folder, LoRA adapters for both.

They share one byte-level BPE vocabulary that is laid out like SmolLM2's, traps included: `<|endoftext|>` is token 0,
while the file's bos and eos are the chat's tokens 1 and 2.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFWriter, TokenType
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

END = "<|endoftext|>"
SPECIAL_TOKENS = (END, "<|im_start|>", "<|im_end|>")
VOCABULARY = 512
CONTEXT = 512
KEY_VALUE_HEADS = 2
LINEAR_LAYERS = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}

_SENTENCES = (
    "My dream is a small house near the sea with a cat who thinks that it owns the place.",
    "I think that the best thing about the morning is the coffee, and then the second coffee.",
    "You are not going to believe what the neighbours have been doing with their garden this year!",
    "It's a good day to be kind to somebody. They will not expect it, so they can't be ready for it.",
    "We had 12 people in the room and every one of them wanted to talk about the weather.",
)


@cache
def tiny_tokenizer() -> Tokenizer:
    """A byte-level BPE with GPT-2's splitting rule, learned from a few sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


def tiny_llama_gguf(path: Path) -> Path:
    """Write a Llama (2 layers, 4 query and 2 key-value heads) that llama.cpp and transformers both open."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=KEY_VALUE_HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, "llama")
    _write_llama_metadata(writer, config)
    _write_vocabulary(writer)
    _write_llama_tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_gpt2(folder: Path) -> Path:
    """Write a GPT-2 (2 layers, 4 heads) with its tokenizer, as `save_pretrained` lays them out."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer(),
        bos_token=END,
        eos_token=END,
        unk_token=END,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    tokenizer.save_pretrained(folder)
    return folder


def tiny_lora(folder: Path, base: Path, *, seed: int = 1, rank: int = 4, alpha: int = 8) -> Path:
    """Write a peft adapter for a tiny base (a .gguf file or a folder) that changes it a great deal."""
    torch.manual_seed(seed)
    model = load_tiny(base)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=LINEAR_LAYERS[model.config.model_type],
        task_type="CAUSAL_LM",
        init_lora_weights=False,
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    with _peft_warnings():
        adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    # Told not to save embeddings, peft need not ask the Hub whether they were resized.
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def load_tiny(base: Path) -> PreTrainedModel:
    """The model of a .gguf file or a folder, in fp32."""
    gguf = {"gguf_file": base.name} if base.suffix == ".gguf" else {}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        base.parent if gguf else base, dtype=torch.float32, **gguf
    )
    return model


def load_adapted(base: Path, adapter: Path) -> PeftModel:
    """The same with a peft adapter on it."""
    with _peft_warnings():
        return PeftModel.from_pretrained(load_tiny(base), str(adapter))


@contextmanager
def _peft_warnings() -> Iterator[None]:
    """peft 0.21 reads a property that transformers 5.24 renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def _write_llama_metadata(writer: GGUFWriter, config: LlamaConfig) -> None:
    head_size = config.hidden_size // config.num_attention_heads
    writer.add_name("tiny llama")
    writer.add_file_type(0)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: GGUFWriter) -> None:
    model: dict[str, Any] = json.loads(tiny_tokenizer().to_str())["model"]
    tokens = sorted(model["vocab"], key=lambda token: int(model["vocab"][token]))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens],
    )
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _write_llama_tensors(writer: GGUFWriter, model: LlamaForCausalLM) -> None:
    config = model.config
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    weights = {name: tensor.detach().float() for name, tensor in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"].numpy())
    for layer in range(config.num_hidden_layers):
        for theirs, ours in names.items():
            weight = weights[f"model.layers.{layer}.{theirs}.weight"]
            if ours == "attn_q":
                weight = _interleave_rope_rows(weight, config.num_attention_heads)
            elif ours == "attn_k":
                weight = _interleave_rope_rows(weight, KEY_VALUE_HEADS)
            writer.add_tensor(f"blk.{layer}.{ours}.weight", weight.contiguous().numpy())


def _interleave_rope_rows(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp rotates neighbouring pairs where transformers rotates halves, so q and k rows change places."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, -1).transpose(1, 2).reshape(rows, -1)
