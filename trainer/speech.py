"""How a saved model speaks when nobody says how: the recipe's sampling, in the places where libraries look for it."""

from __future__ import annotations

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from trainer.base import SEPARATOR, separator_id
from trainer.recipes import Sampling


def speak_like(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sampling: Sampling) -> None:
    """Put sampling, prefix and the end of a post into the model's own settings.

    Today's transformers reads generation_config.json and `prefix`; huggingtweets' bots, and what was written for them,
    keep the same in `task_specific_params["text-generation"]` of config.json.
    """
    end = separator_id(tokenizer)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_length=sampling.min_tokens,
        max_length=sampling.max_tokens,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model.config.prefix = SEPARATOR  # what the pipeline puts before each prompt
    model.config.task_specific_params = {
        "text-generation": {
            "do_sample": True,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_length": sampling.min_tokens,
            "max_length": sampling.max_tokens,
            "prefix": SEPARATOR,
        }
    }
    for role in ("bos", "eos", "pad"):
        setattr(model.config, f"{role}_token_id", end)
        setattr(tokenizer, f"{role}_token", SEPARATOR)
