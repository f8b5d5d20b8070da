"""What strangers may put into a model: none of it runs here, none of it leads out of its folder."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.servers.hub import LocalHub
from tests.tiny import tiny_lora
from tests.trainer.hub_jobs import adopt_job, contents, published
from tests.trainer.jobs import PEFT_WARNING, Recorder
from tests.trainer.strangers import Mischief, huggingtweets_bot, set_json
from trainer.adopt import adopt
from trainer.adoption import origin as origin_module
from trainer.protocol import JobFailed

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings(PEFT_WARNING)]


def refusal(tmp_path: Path, origin: Path | str, hub_url: str = "") -> JobFailed:
    """Why it is not adopted; and nothing of it is left as a result."""
    job = adopt_job(tmp_path, origin, hub_url=hub_url)
    with pytest.raises(JobFailed) as refused:
        adopt(job, Recorder())
    assert not (job.work_dir / "result").exists()
    assert refused.value.message.endswith(".")
    assert refused.value.hint
    return refused.value


@pytest.fixture
def model(tmp_path: Path, tiny_gpt2: Path) -> Path:
    """A sound one, to be spoilt."""
    return Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there once a stranger's code has run."""
    return tmp_path / "code-was-run"


def by_torch(mischief: object, path: Path) -> None:
    torch.save({"transformer.wte.weight": mischief}, path)


def by_pickle(mischief: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(mischief, protocol=2))


def by_old_torch(mischief: object, path: Path) -> None:
    torch.save({"transformer.wte.weight": mischief}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [by_torch, by_old_torch, by_pickle])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00001.bin"])
def test_pickle_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, model: Path, mark: Path, write: Callable[[object, Path], None], name: str
) -> None:
    (model / "model.safetensors").unlink()
    write(Mischief(mark), model / name)
    failure = refusal(tmp_path, model)
    assert (failure.kind, "Nothing of it was run" in failure.message) == ("refused", True)
    assert not mark.exists()


def test_pickle_beside_safetensors_is_not_even_looked_at(tmp_path: Path, model: Path, mark: Path) -> None:
    by_torch(Mischief(mark), model / "pytorch_model.bin")
    by_torch(Mischief(mark), model / "training_args.bin")
    adopt(adopt_job(tmp_path, model), Recorder())
    assert not mark.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("model_type", ["gpt2", "evil"])
def test_repository_that_brings_its_own_code_is_refused_and_not_run(
    tmp_path: Path, model: Path, mark: Path, name: str, model_type: str
) -> None:
    classes = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.T", None]}
    set_json(model / name, auto_map=classes)
    set_json(model / "config.json", model_type=model_type, architectures=["Model"])
    (model / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    with LocalHub({}) as hub:
        published(hub, "evil/model", model)
        assert refusal(tmp_path / "far", "evil/model", hub.url).kind == "refused"
        assert hub.asked("GET", "evil.py") == hub.asked("HEAD", "evil.py") == []
    assert refusal(tmp_path / "near", model).kind == "refused"
    assert not mark.exists()


def test_adapter_cannot_name_a_module_to_import(
    tmp_path: Path, tiny_gpt2: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft imports what `megatron_core` names."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "evil_core.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    adapter = tiny_lora(tmp_path / "adapter", tiny_gpt2)
    set_json(adapter / "adapter_config.json", megatron_config={"a": 1}, megatron_core="evil_core")
    adopt(adopt_job(tmp_path, adapter), Recorder())
    assert not mark.exists()
    assert "evil_core" not in (tmp_path / "work" / "result" / "adapter_config.json").read_text()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "adapter"])
def test_link_out_of_the_folder_is_not_followed(tmp_path: Path, model: Path, name: str) -> None:
    if (model / name).exists():
        (model / name).rename(tmp_path / name)
    else:
        (tmp_path / name).mkdir()
    os.symlink(tmp_path / name, model / name)
    failure = refusal(tmp_path, model)
    assert (failure.kind, failure.message) == ("refused", f"{model / name} is a link, and links are not followed.")


def test_index_that_leads_elsewhere_is_not_followed(tmp_path: Path, model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    kept = {name: tensor for name, tensor in tensors.items() if "ln_f" not in name}
    save_file(kept, model / "model-00001-of-00001.safetensors")
    save_file({name: tensors[name] for name in tensors.keys() - kept.keys()}, tmp_path / "outside.safetensors")
    index = {"weight_map": dict.fromkeys(tensors, "../outside.safetensors")}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(tmp_path, model).message == "The model does not fit together: it lacks 2 of its tensors."


@pytest.mark.parametrize("setting", ["vocab_file", "special_tokens_map_file", "tokenizer_file"])
def test_tokenizer_settings_that_name_files_are_dropped(tmp_path: Path, tiny_gpt2: Path, setting: str) -> None:
    (tmp_path / "secret.json").write_text(json.dumps({"bos_token": "secret"}))
    bot = huggingtweets_bot(tmp_path / "bot", tiny_gpt2)
    set_json(bot / "tokenizer_config.json", **{setting: str(tmp_path / "secret.json")})
    job = adopt_job(tmp_path, bot)
    adopt(job, Recorder())
    assert not any(b"secret" in content for content in contents(job.work_dir / "result").values())


@given(st.text(st.sampled_from("./\\adpter_mol.safnsbi0123456789-config jh\0~"), max_size=40))
def test_names_that_are_looked_at_stay_in_their_folder(name: str) -> None:
    if origin_module._belongs(name):
        assert ".." not in name
        assert not name.startswith(("/", "~"))
        assert name.count("/") == name.startswith("adapter/")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "adapter/../../config.json"])
def test_file_names_of_a_repository_that_lead_out_are_never_asked_for(tmp_path: Path, model: Path, name: str) -> None:
    with LocalHub({}) as hub:
        hub.publish("evil/model", {**contents(model), name: b"escaped"})
        adopt(adopt_job(tmp_path / "in" / "here", "evil/model", hub_url=hub.url), Recorder())
    escaped = [path for path in (tmp_path / "in").rglob("*") if path.is_file() and path.read_bytes() == b"escaped"]
    assert escaped == []


def test_weights_that_are_too_large_are_refused_before_they_are_fetched(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_module, "MAX_WEIGHTS_BYTES", 100_000)
    with LocalHub({}) as hub:
        published(hub, "makers/huge", model)
        assert refusal(tmp_path, "makers/huge", hub.url).hint == "Adopt a smaller model."
        assert hub.asked("GET", "/storage/") == []


def test_description_that_is_too_large_is_not_read(tmp_path: Path, model: Path) -> None:
    with (model / "config.json").open("ab") as file:
        file.truncate(origin_module.MAX_DESCRIPTION_BYTES + 1)
    assert refusal(tmp_path, model).kind == "bad_job"


def test_tensor_that_unfolds_to_terabytes_is_refused(tmp_path: Path, model: Path) -> None:
    (model / "model.safetensors").unlink()
    torch.save({"transformer.wte.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, model / "pytorch_model.bin")
    failure = refusal(tmp_path, model)
    assert failure.kind == "corrupt"
    assert "unfolds to" in failure.message


def test_zip_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, model: Path) -> None:
    torch.save(load_file(model / "model.safetensors"), tmp_path / "sound.bin")
    (model / "model.safetensors").unlink()
    with (
        zipfile.ZipFile(tmp_path / "sound.bin") as sound,
        zipfile.ZipFile(model / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for member in sound.infolist():
            bomb.writestr(member.filename, sound.read(member))
        bomb.writestr("sound/data/999", bytes(50_000_000))
    assert "unpacks to" in refusal(tmp_path, model).message


def without_a_tensor(model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, model / "model.safetensors")


def cut_short(model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(content[: len(content) // 2])


def pickled_and_cut_short(model: Path) -> None:
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    content = (model / "pytorch_model.bin").read_bytes()
    (model / "pytorch_model.bin").write_bytes(content[: len(content) // 2])
    (model / "model.safetensors").unlink()


def of_another_width(model: Path) -> None:
    set_json(model / "config.json", n_embd=128)


def with_a_million_layers(model: Path) -> None:
    set_json(model / "config.json", n_layer=1_000_000)


def with_fewer_words_than_its_tokenizer(model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["transformer.wte.weight"] = tensors["transformer.wte.weight"][:100].clone()
    save_file(tensors, model / "model.safetensors")
    set_json(model / "config.json", vocab_size=100)


def with_a_config_that_is_no_object(model: Path) -> None:
    (model / "config.json").write_text("[]")


def with_a_config_that_is_too_deep(model: Path) -> None:
    (model / "config.json").write_text("[" * 100_000)


def with_a_tokenizer_that_is_none(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"model": 1}')


@pytest.mark.parametrize(
    "spoil",
    [
        without_a_tensor,
        cut_short,
        pickled_and_cut_short,
        of_another_width,
        with_a_million_layers,
        with_fewer_words_than_its_tokenizer,
        with_a_config_that_is_no_object,
        with_a_config_that_is_too_deep,
        with_a_tokenizer_that_is_none,
    ],
)
def test_broken_model_is_told_as_corrupt(tmp_path: Path, model: Path, spoil: Callable[[Path], None]) -> None:
    spoil(model)
    assert refusal(tmp_path, model).kind == "corrupt"


@pytest.mark.parametrize("model_type", ["bert", "t5", "clip", "nonsense", None, 7, ["gpt2"]])
def test_what_is_no_causal_lm_is_told(tmp_path: Path, model: Path, model_type: object) -> None:
    set_json(model / "config.json", model_type=model_type)
    assert refusal(tmp_path, model).kind in ("bad_job", "corrupt")


def test_quantized_model_is_told(tmp_path: Path, model: Path) -> None:
    set_json(model / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    assert refusal(tmp_path, model).message == "The model is quantized."


def test_adapter_that_does_not_fit_its_base_is_told(tmp_path: Path, tiny_gpt2: Path) -> None:
    adapter = tiny_lora(tmp_path / "adapter", tiny_gpt2)
    set_json(adapter / "adapter_config.json", r=16)
    assert "does not fit the base" in refusal(tmp_path, adapter).message


def test_adapter_that_is_no_plain_lora_is_told(tmp_path: Path, tiny_gpt2: Path) -> None:
    adapter = tiny_lora(tmp_path / "adapter", tiny_gpt2)
    set_json(adapter / "adapter_config.json", use_dora=True)
    failure = refusal(tmp_path, adapter)
    assert (failure.kind, "merge_and_unload" in failure.hint) == ("bad_job", True)


def test_adapter_from_afar_does_not_open_a_base_by_its_path(tmp_path: Path, tiny_gpt2: Path) -> None:
    adapter = tiny_lora(tmp_path / "adapter", tiny_gpt2)
    with LocalHub({}) as hub:
        published(hub, "artist/lora", adapter)
        assert refusal(tmp_path, "artist/lora", hub.url).kind == "base_missing"


@pytest.mark.parametrize("origin", ["./nowhere", "/nowhere", "~/nowhere-at-all", "not a name", "a/b/c"])
def test_origin_that_is_nothing_is_told(tmp_path: Path, origin: str) -> None:
    assert refusal(tmp_path, origin, "http://127.0.0.1:9").kind == "bad_job"


def test_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no weights that can be adopted" in refusal(tmp_path, tmp_path / "empty").message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    key=st.sampled_from(
        [
            *("n_embd", "n_head", "n_layer", "n_positions", "vocab_size", "activation_function", "architectures"),
            *("layer_norm_epsilon", "tie_word_embeddings", "dtype", "torch_dtype", "n_inner", "model_type", "rope"),
            *("attn_implementation", "_attn_implementation", "transformers_weights", "is_decoder", "problem_type"),
            *("add_cross_attention", "id2label", "num_labels", "use_cache", "eos_token_id", "return_dict"),
            *("output_attentions", "label2id", "num_hidden_layers", "num_attention_heads"),
        ]
    ),
    value=st.sampled_from([None, True, -1, 0, 1.5, 10**30, "x", "../../x", [], ["x"], {}, {"a": 1}]),
)
def test_any_setting_is_understood_or_refused(tmp_path: Path, tiny_gpt2: Path, key: str, value: object) -> None:
    shutil.rmtree(tmp_path / "model", ignore_errors=True)
    model = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    set_json(model / "config.json", **{key: value})
    try:
        adopt(adopt_job(tmp_path, model), Recorder())
    except JobFailed as failure:
        assert failure.kind in ("corrupt", "bad_job")
