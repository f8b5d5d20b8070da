"""A clone as a folder that transformers alone can speak from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.tiny import load_adapted
from tests.trainer.jobs import PEFT_WARNING, Recorder, Training
from trainer.base import prepare
from trainer.catalog import file_sha256
from trainer.export import export, load_clone
from trainer.protocol import ExportJob, JobFailed, Saved
from trainer.recipes import Sampling

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings(PEFT_WARNING)]

SPEAK_FIVE_TIMES = """
import json, sys
from transformers import pipeline
speaker = pipeline("text-generation", model=sys.argv[1])
print(json.dumps([said["generated_text"] for said in speaker("My dream is", num_return_sequences=5)]))
"""


@dataclass(frozen=True)
class Exported:
    folder: Path
    event: Saved


def export_here(training: Training, out_dir: Path, sampling: Sampling | None = None) -> Exported:
    emit = Recorder()
    job = ExportJob(
        job_id="test",
        base=training.job.base,
        cache_dir=training.job.cache_dir,
        weights_dir=training.result,
        out_dir=out_dir,
        sampling=sampling or Sampling(),
    )
    export(job, emit)
    (event,) = emit.events
    assert isinstance(event, Saved)
    return Exported(out_dir, event)


@pytest.fixture(scope="module")
def exported(lora_training: Training, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_here(lora_training, tmp_path_factory.mktemp("exports") / "clone")


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model(torch.tensor([[0, 40, 41, 42, 300, 5, 77]])).logits
    return output


def test_pipeline_speaks_from_the_folder_alone(exported: Exported, tmp_path: Path) -> None:
    spoken = subprocess.run(
        [sys.executable, "-c", SPEAK_FIVE_TIMES, str(exported.folder)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(spoken.stdout)
    assert len(said) == 5
    assert len(set(said)) > 1
    assert all(text.startswith("My dream is") and "<|" not in text for text in said)


def test_merged_model_computes_what_base_and_adapter_do(exported: Exported, lora_training: Training) -> None:
    base = prepare(lora_training.job.base, lora_training.job.cache_dir)
    adapted = load_adapted(base.folder, lora_training.result).eval()
    merged = AutoModelForCausalLM.from_pretrained(exported.folder, dtype=torch.float32)
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-5)
    untrained = load_clone(base, None)
    assert (logits(merged) - logits(untrained)).abs().max() > 0.01


def test_full_model_is_exported_as_it_is(full_training: Training, tmp_path: Path) -> None:
    folder = export_here(full_training, tmp_path / "clone").folder
    ours = AutoModelForCausalLM.from_pretrained(full_training.result, dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(logits(theirs), logits(ours), rtol=0, atol=0)


def test_folder_speaks_with_the_recipes_sampling(lora_training: Training, tmp_path: Path) -> None:
    sampling = Sampling(temperature=0.7, top_k=20, top_p=0.8, min_tokens=5, max_tokens=60)
    folder = export_here(lora_training, tmp_path / "clone", sampling).folder
    saved = GenerationConfig.from_pretrained(folder)
    assert (saved.do_sample, saved.temperature, saved.top_k, saved.top_p) == (True, 0.7, 20, 0.8)
    assert (saved.min_length, saved.max_length) == (5, 60)
    assert (saved.bos_token_id, saved.eos_token_id, saved.pad_token_id) == (0, 0, 0)
    config = json.loads((folder / "config.json").read_text())
    assert config["prefix"] == "<|endoftext|>"
    assert config["task_specific_params"]["text-generation"] == {
        "do_sample": True,
        "temperature": 0.7,
        "top_k": 20,
        "top_p": 0.8,
        "min_length": 5,
        "max_length": 60,
        "prefix": "<|endoftext|>",
    }
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<|endoftext|>"


def test_event_lists_every_file_of_the_folder(exported: Exported) -> None:
    assert {file.path for file in exported.event.files} == set(exported.folder.iterdir())
    assert all(file.sha256 == file_sha256(file.path) for file in exported.event.files)
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in exported.event.files
    }
    assert "chat_template.jinja" not in {file.name for file in exported.event.files}


def test_folder_that_holds_something_is_left_alone(lora_training: Training, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(JobFailed) as refusal:
        export_here(lora_training, tmp_path)
    assert refusal.value.kind == "bad_job"
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_where_no_folder_can_be_is_said_before_anything_is_written(lora_training: Training, tmp_path: Path) -> None:
    file = tmp_path / "diary.txt"
    file.write_text("mine")
    for place, said in ((file, "is a file, not a folder"), (file / "clone", "cannot be made (Not a directory)")):
        with pytest.raises(JobFailed) as refusal:
            export_here(lora_training, place)
        assert refusal.value.kind == "bad_job"
        assert said in refusal.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_empty_folder_is_filled(full_training: Training, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    assert (export_here(full_training, tmp_path / "clone").folder / "config.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["clone"]
