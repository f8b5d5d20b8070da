"""Models that were made elsewhere go on speaking here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.servers.faulty_http import Fault
from tests.servers.hub import LocalHub
from tests.tiny import END, load_adapted, tiny_lora, tiny_tokenizer
from tests.trainer.hub_jobs import TOKEN, UPLOAD_WARNING, USER, adopt_job, contents, manifest, published, push_job
from tests.trainer.jobs import PEFT_WARNING, Recorder, run
from tests.trainer.strangers import HUGGINGTWEETS_CARD, LATER_HUGGINGTWEETS_CARD, huggingtweets_bot, set_json
from trainer import hub as hub_module
from trainer.adopt import adopt
from trainer.base import prepare
from trainer.catalog import file_sha256
from trainer.export import export
from trainer.protocol import Adopted, AdoptJob, ExportJob, Failed, JobFailed, Saved
from trainer.push import push
from trainer.recipes import Sampling

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings(PEFT_WARNING),
    pytest.mark.filterwarnings(UPLOAD_WARNING),
]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # as the trainer's own process is started
    monkeypatch.setattr(hub_module, "RETRY_WAITS_S", (0.0, 0.0))
    with LocalHub({TOKEN: USER}) as server:
        yield server


def adopted(job: AdoptJob) -> tuple[Adopted, Saved]:
    """What is said; the files are checked against it."""
    emit = Recorder()
    adopt(job, emit)
    told, saved = emit.events
    assert isinstance(told, Adopted)
    assert isinstance(saved, Saved)
    result = job.work_dir / "result"
    assert {file.path for file in saved.files} == set(result.iterdir())
    assert all(file.sha256 == file_sha256(file.path) for file in saved.files)
    assert [path.name for path in job.work_dir.iterdir()] == ["result"]
    return told, saved


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True)
    return dict(model.state_dict())


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    assert all(first[name].dtype == second[name].dtype for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)


def exported(weights_dir: Path, base: Path, folder: Path) -> Path:
    job = ExportJob(
        job_id="export", base=str(base), cache_dir=folder.parent / "cache", weights_dir=weights_dir, out_dir=folder
    )
    export(job, Recorder())
    return folder


def test_huggingtweets_bot_of_2021_goes_on_speaking_here(hub: LocalHub, tmp_path: Path, tiny_gpt2: Path) -> None:
    bot = huggingtweets_bot(tmp_path / "bot", tiny_gpt2)
    published(hub, "huggingtweets/some_body", bot)
    job = adopt_job(tmp_path, "huggingtweets/some_body", hub_url=hub.url)
    told, saved = adopted(job)
    result = job.work_dir / "result"
    assert (told.base, told.display_name, told.handle) == ("huggingtweets/some_body", "Some Body", "some_body")
    assert told.sampling == Sampling(temperature=0.9, top_p=0.95, min_tokens=10, max_tokens=120)
    assert told.base_hash == prepare(str(result), tmp_path).hash
    assert saved.method == "full"
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {file.name for file in saved.files}
    assert not any(file.name.endswith(".bin") for file in saved.files)
    assert_same_weights(result, tiny_gpt2)
    text = "It's a good day 🦜"
    assert AutoTokenizer.from_pretrained(result).encode(text) == tiny_tokenizer().encode(text).ids


def test_what_no_model_needs_is_not_downloaded(hub: LocalHub, tmp_path: Path, tiny_gpt2: Path) -> None:
    published(hub, "huggingtweets/some_body", huggingtweets_bot(tmp_path / "bot", tiny_gpt2))
    adopted(adopt_job(tmp_path, "huggingtweets/some_body", hub_url=hub.url))
    assert hub.asked("GET", "pytorch_model.bin") or hub.asked("GET", "/storage/")
    assert hub.asked("GET", "training_args.bin") == hub.asked("HEAD", "training_args.bin") == []


@pytest.mark.parametrize("card", [HUGGINGTWEETS_CARD, LATER_HUGGINGTWEETS_CARD])
@pytest.mark.parametrize(
    "name", ["Some Body", "R2D2 BOT", "a | `b` 🦜", "Tom &amp; Jerry", "<script>alert(1)</script>"]
)
def test_card_tells_whose_voice_it_is(tmp_path: Path, tiny_gpt2: Path, card: str, name: str) -> None:
    bot = huggingtweets_bot(tmp_path / "bot", tiny_gpt2, card.replace("{name}", name))
    told, _ = adopted(adopt_job(tmp_path, bot))
    assert (told.display_name, told.handle) == (name.replace("&amp;", "&"), "some_body")


def test_folder_is_adopted_and_left_as_it_was(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    before = contents(folder)
    job = adopt_job(tmp_path, folder)
    told, saved = adopted(job)
    assert (told.base, told.display_name, told.handle, told.sampling) == (str(folder), "", "", Sampling())
    assert saved.method == "full"
    assert_same_weights(job.work_dir / "result", tiny_gpt2)
    assert contents(folder) == before


def test_model_in_several_files_becomes_one(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    for number, part in enumerate((names[:9], names[9:]), start=1):
        save_file({name: tensors[name] for name in part}, folder / f"model-{number:05}-of-00002.safetensors")
    job = adopt_job(tmp_path, folder)
    adopted(job)
    assert_same_weights(job.work_dir / "result", tiny_gpt2)


def test_half_precision_is_kept(tmp_path: Path, tiny_gpt2: Path) -> None:
    AutoModelForCausalLM.from_pretrained(tiny_gpt2, dtype=torch.bfloat16).save_pretrained(tmp_path / "model")
    for file in tiny_gpt2.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "model")
    job = adopt_job(tmp_path, tmp_path / "model")
    adopted(job)
    assert {weight.dtype for weight in weights_of(job.work_dir / "result").values()} == {torch.bfloat16}


def test_pushed_clone_comes_back_as_the_same_adapter_on_the_same_base(
    hub: LocalHub, tmp_path: Path, tiny_llama: Path
) -> None:
    clone = tiny_lora(tmp_path / "clone", tiny_llama)
    folder = exported(clone, tiny_llama, tmp_path / "parcel")
    told_by_us = manifest("lora", str(tiny_llama), file_sha256(tiny_llama))
    push(push_job(hub.url, folder).model_copy(update={"weights_dir": clone, "manifest": told_by_us}), Recorder())
    job = adopt_job(tmp_path, f"{USER}/bot", tiny_llama, hub.url)
    told, saved = adopted(job)
    assert told == Adopted(
        base=str(tiny_llama),
        base_hash=file_sha256(tiny_llama),
        sampling=Sampling(temperature=0.8),
        display_name="Some | <b>Body</b> 🦜",
        handle="somebody",
    )
    assert saved.method == "lora"
    result = job.work_dir / "result"
    assert (result / "adapter_model.safetensors").read_bytes() == (clone / "adapter_model.safetensors").read_bytes()
    tokens = torch.tensor([[0, 40, 41, 300, 5]])
    with torch.inference_mode():
        before, after = (load_adapted(tiny_llama, each).eval()(tokens).logits for each in (clone, result))
    assert torch.equal(before, after)
    whole = [request.path for request in hub.asked("HEAD", "/resolve/") if request.path.endswith("/model.safetensors")]
    assert whole == []


@pytest.mark.parametrize("base_here", ["none", "/"])
def test_pushed_clone_comes_as_a_whole_model_where_its_base_is_not(
    hub: LocalHub, tmp_path: Path, tiny_llama: Path, base_here: str
) -> None:
    clone = tiny_lora(tmp_path / "clone", tiny_llama)
    folder = exported(clone, tiny_llama, tmp_path / "parcel")
    told_by_us = manifest("lora", str(tiny_llama), file_sha256(tiny_llama))
    push(push_job(hub.url, folder).model_copy(update={"weights_dir": clone, "manifest": told_by_us}), Recorder())
    job = adopt_job(tmp_path, f"{USER}/bot", base_here, hub.url)
    told, saved = adopted(job)
    assert (told.base, told.handle, saved.method) == (f"{USER}/bot", "somebody", "full")
    assert_same_weights(job.work_dir / "result", folder)


def test_pushed_full_clone_comes_back_with_identical_weights(hub: LocalHub, tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = exported(tiny_gpt2, tiny_gpt2, tmp_path / "parcel")
    push(push_job(hub.url, folder).model_copy(update={"weights_dir": tiny_gpt2}), Recorder())
    job = adopt_job(tmp_path, f"{USER}/bot", hub_url=hub.url)
    told, saved = adopted(job)
    assert (told.handle, told.sampling, saved.method) == ("somebody", Sampling(temperature=0.8), "full")
    assert_same_weights(job.work_dir / "result", tiny_gpt2)


def test_what_is_pushed_tells_no_path_of_this_machine(hub: LocalHub, tmp_path: Path, tiny_llama: Path) -> None:
    clone = tiny_lora(tmp_path / "clone", tiny_llama)
    folder = exported(clone, tiny_llama, tmp_path / "parcel")
    told_by_us = manifest("lora", str(tiny_llama), file_sha256(tiny_llama))
    push(push_job(hub.url, folder).model_copy(update={"weights_dir": clone, "manifest": told_by_us}), Recorder())
    files = hub.repositories[f"{USER}/bot"].files
    assert {"mynah.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= files.keys()
    paths = (str(tmp_path).encode(), str(tiny_llama.parent).encode())
    assert [name for name, content in files.items() if any(path in content for path in paths)] == []
    assert json.loads(files["mynah.json"])["base"] == tiny_llama.name


def test_adapter_of_peft_brings_the_base_that_it_names(hub: LocalHub, tmp_path: Path, tiny_llama: Path) -> None:
    base = prepare(str(tiny_llama), tmp_path / "cache").folder
    published(hub, "makers/tiny-llama", base)
    adapter = tiny_lora(tmp_path / "adapter", tiny_llama)
    set_json(adapter / "adapter_config.json", base_model_name_or_path="makers/tiny-llama")
    published(hub, "artist/lora", adapter)
    job = adopt_job(tmp_path, "artist/lora", hub_url=hub.url)
    told, saved = adopted(job)
    assert (told.base, saved.method) == ("makers/tiny-llama", "lora")
    assert told.base_hash == prepare(str(base), tmp_path).hash
    result = job.work_dir / "result"
    assert {file.name for file in saved.files} == {"adapter_config.json", "adapter_model.safetensors"}
    assert (result / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()
    ours, theirs = (LoraConfig.from_pretrained(str(folder)) for folder in (result, adapter))
    assert (ours.r, ours.lora_alpha, ours.target_modules) == (theirs.r, theirs.lora_alpha, theirs.target_modules)


def test_pickled_adapter_becomes_safetensors(tmp_path: Path, tiny_gpt2: Path) -> None:
    adapter = tiny_lora(tmp_path / "adapter", tiny_gpt2)
    tensors = load_file(adapter / "adapter_model.safetensors")
    torch.save(tensors, adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    job = adopt_job(tmp_path, adapter)
    told, _ = adopted(job)
    assert told.base == str(tiny_gpt2)
    back = load_file(job.work_dir / "result" / "adapter_model.safetensors")
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


def test_private_repository_is_adopted_with_its_owners_token_alone(
    hub: LocalHub, tmp_path: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(hub, f"{USER}/secret", tiny_gpt2, private=True)
    assert adopted(adopt_job(tmp_path / "mine", f"{USER}/secret", hub_url=hub.url))[1].method == "full"
    assert {request.token for request in hub.asked("GET", "/storage/")} == {None}
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(JobFailed) as refusal:
        adopt(adopt_job(tmp_path / "theirs", f"{USER}/secret", hub_url=hub.url), Recorder())
    assert refusal.value.kind == "refused"
    assert "HF_TOKEN" in refusal.value.hint


@pytest.mark.parametrize(("politely", "goes_on"), [(True, "bytes=100000-"), (False, None)])
def test_download_that_is_cut_goes_on(
    hub: LocalHub,
    tmp_path: Path,
    tiny_gpt2: Path,
    monkeypatch: pytest.MonkeyPatch,
    politely: bool,
    goes_on: str | None,
) -> None:
    """huggingface_hub asks for the rest after a connection that was closed, and for the whole file after a reset."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what is kept of a cut download; else 10 MB
    published(hub, "makers/tiny", tiny_gpt2)
    fault = hub.break_with(Fault("GET", "/storage/", cut_after_bytes=100_000, politely=politely))
    job = adopt_job(tmp_path, "makers/tiny", hub_url=hub.url)
    adopted(job)
    assert fault.met.is_set()
    assert_same_weights(job.work_dir / "result", tiny_gpt2)
    assert [request.headers.get("range") for request in hub.asked("GET", "/storage/")] == [None, goes_on]


def test_hub_that_is_not_there_is_told_in_one_sentence(hub: LocalHub, tmp_path: Path) -> None:
    with LocalHub({}) as gone:
        url = gone.url
    outcome = run(adopt_job(tmp_path, "makers/tiny", hub_url=url), environment={"HF_TOKEN": TOKEN})
    failed = outcome.one(Failed)
    assert (outcome.status, failed.kind) == (1, "unreachable")
    assert failed.message == f"The Hub at {url.removeprefix('http://')} cannot be reached."
    assert "Traceback" not in outcome.stderr
    assert TOKEN not in outcome.stdout + outcome.stderr


def test_repository_that_is_not_there_is_told(hub: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="has no repository makers/nothing") as refusal:
        adopt(adopt_job(tmp_path, "makers/nothing", hub_url=hub.url), Recorder())
    assert refusal.value.kind == "bad_job"


def test_separator_is_what_a_tokenizer_must_have(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text((folder / name).read_text().replace(END, "</s>"))
    with pytest.raises(JobFailed, match=r"no <\|endoftext\|> token") as refusal:
        adopt(adopt_job(tmp_path, folder), Recorder())
    assert refusal.value.hint
