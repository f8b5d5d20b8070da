"""A training from its first event to its last, by the real entry point."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel, get_scheduler

from tests.tiny import tiny_gpt2 as make_tiny_gpt2
from tests.trainer.jobs import (
    PEFT_WARNING,
    QUICK_HUGGINGTWEETS,
    QUICK_MYNAH,
    Recorder,
    Training,
    finetune_job,
    invented_posts,
    rows_of,
    write_posts,
)
from trainer.base import load_tokenizer, prepare
from trainer.finetune import finetune
from trainer.lifeline import Lifeline
from trainer.protocol import AnyEvent, Counted, Evaluated, FinetuneJob, Finished, Sample, Saved, Started, Step

pytestmark = pytest.mark.timeout(300)

STEPS = 228
FIFTHS = [46, 91, 137, 182, 228]
THIRDS = [76, 152, 228]


def test_events_come_in_order(lora_training: Training) -> None:
    outcome = lora_training.outcome
    assert outcome.status == 0, outcome.stderr
    names = [event.event for event in outcome.events]
    assert names[:3] == ["counted", "started", "step"]
    assert names[-8:] == ["evaluated", "evaluated", "sample", "sample", "sample", "judged", "saved", "finished"]
    assert set(names[2:-6]) == {"step", "sample", "evaluated"}


def test_stdout_holds_events_alone_even_where_a_library_prints(lora_training: Training) -> None:
    outcome = lora_training.outcome
    assert len(outcome.events) == len(outcome.stdout.splitlines()) > 20
    assert "a library prints\n" in outcome.stderr
    assert "and so does its C code\n" in outcome.stderr


def test_data_table_and_corpus_file_are_said_first(lora_training: Training) -> None:
    counted = lora_training.outcome.one(Counted)
    assert counted.downloaded == counted.reposts + counted.short + counted.kept == 300
    assert (counted.train, counted.heldout) == (270, 30)
    assert "characters are few" in counted.warning
    assert counted.corpus is not None
    assert counted.corpus.path.read_text("utf-8").count("\n") == 300


def test_start_names_machine_base_and_seed(lora_training: Training, tiny_llama: Path) -> None:
    assert lora_training.outcome.one(Started) == Started(
        job_id="test",
        device="cpu",
        precision="fp32",
        base=str(tiny_llama),
        base_hash=hashlib.sha256(tiny_llama.read_bytes()).hexdigest(),
        seed=7,
        resumed_at_step=0,
    )


def test_adapters_learn_and_reach_the_pinned_losses(lora_training: Training) -> None:
    outcome = lora_training.outcome
    looks = {(look.stage, look.step): look.bits_per_byte for look in outcome.all(Evaluated)}
    assert [step for stage, step in looks if stage == "during"] == FIFTHS
    assert looks["before", 0] == pytest.approx(2.7756, rel=2e-3)
    assert looks["during", 137] == pytest.approx(2.5564, rel=5e-3)
    assert looks["after", 228] == pytest.approx(2.5506, rel=5e-3)
    last = outcome.all(Step)[-1]
    assert (last.step, last.of) == (STEPS, STEPS)
    assert last.loss == pytest.approx(5.4718, rel=5e-3)


def test_all_weights_learn_and_reach_the_pinned_loss(full_training: Training) -> None:
    outcome = full_training.outcome
    assert outcome.status == 0, outcome.stderr
    steps = outcome.all(Step)
    assert (steps[-1].step, steps[-1].of) == (293, 293)
    assert steps[-1].loss == pytest.approx(4.4578, rel=2e-2)
    assert steps[-1].loss < steps[0].loss - 0.5
    assert outcome.all(Evaluated) == []  # the original keeps nothing aside


def test_progress_counts_up_and_time_left_comes_down(lora_training: Training) -> None:
    steps = lora_training.outcome.all(Step)
    assert [step.step for step in steps] == sorted({step.step for step in steps})
    assert all(step.tokens_per_s > 0 and step.eta_s > 0 for step in steps)
    assert steps[-1].eta_s < steps[0].eta_s


def test_it_is_heard_three_times_after_each_third(lora_training: Training) -> None:
    samples = lora_training.outcome.all(Sample)
    assert [sample.step for sample in samples] == [step for step in THIRDS for _ in range(3)]
    assert [sample.prompt for sample in samples] == ["", "My dream is", "I think"] * 3
    assert all(sample.text.startswith(sample.prompt) for sample in samples)
    assert all("<|" not in sample.text and "\n" not in sample.text for sample in samples)


@pytest.mark.parametrize(
    ("name", "method", "file"),
    [("lora_training", "lora", "adapter_model.safetensors"), ("full_training", "full", "model.safetensors")],
)
def test_saved_files_are_what_the_event_says(name: str, method: str, file: str, request: pytest.FixtureRequest) -> None:
    training: Training = request.getfixturevalue(name)
    saved = training.outcome.one(Saved)
    assert saved.method == method
    assert file in {entry.name for entry in saved.files}
    for entry in saved.files:
        data = entry.path.read_bytes()
        assert (entry.sha256, entry.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


def test_adapter_is_on_every_linear_layer_in_half_precision(lora_training: Training) -> None:
    tensors = load_file(lora_training.result / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert len(tensors) == 2 * 7 * 2  # layers, linear layers in each, A and B


def test_finish_says_how_it_ended(lora_training: Training) -> None:
    finished = lora_training.outcome.events[-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.step) == ("completed", STEPS)
    assert finished.seconds > 0


def train_here(job: FinetuneJob) -> list[AnyEvent]:
    """The same in this process, for what needs no process of its own."""
    emit = Recorder()
    job.work_dir.mkdir(parents=True, exist_ok=True)
    finetune(job, emit, Lifeline(emit, 0))
    return emit.events


def test_original_recipe_equals_the_plain_loop_of_its_day(tmp_path: Path) -> None:
    """AdamW 0.9/0.999, eps 1e-8, no decay, clip 1.0, cosine to zero, one block a step."""
    base = make_tiny_gpt2(tmp_path / "base")
    undropped = GPT2LMHeadModel.from_pretrained(base, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    undropped.save_pretrained(base)
    posts = invented_posts(25)
    write_posts(tmp_path / "posts.jsonl", posts)
    job = finetune_job(tmp_path, base, recipe=QUICK_HUGGINGTWEETS, min_characters=100, sample_prompts=())
    train_here(job)

    tokenizer = load_tokenizer(prepare(job.base, job.cache_dir))
    blocks = rows_of(posts, tokenizer, job.recipe, job.seed)
    assert len(blocks) >= 15
    model = GPT2LMHeadModel.from_pretrained(base).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.372e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    scheduler = get_scheduler("cosine", optimizer, num_warmup_steps=0, num_training_steps=len(blocks))
    for block in blocks:
        ids = torch.tensor(block.pieces)
        logits = model(ids).logits[0, :-1]
        optimizer.zero_grad()
        cross_entropy(logits, ids[0, 1:]).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()

    trained = load_file(job.work_dir / "result" / "model.safetensors")
    for name, weight in model.state_dict().items():
        if name in trained:
            torch.testing.assert_close(trained[name], weight, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings(PEFT_WARNING)
def test_training_stops_when_heldout_posts_say_so_and_keeps_the_best(tmp_path: Path, tiny_llama: Path) -> None:
    """The newest tenth is written in other letters, so the more is learned, the worse it is foreseen."""
    recipe = QUICK_MYNAH.model_copy(update={"learning_rate": 0.02, "patience": 2, "evaluations": 10})
    strange = [post.translate(str.maketrans("aeiou", "QXZJK")).upper() for post in invented_posts(330)[300:]]
    write_posts(tmp_path / "posts.jsonl", [*invented_posts(300)[:270], *strange])
    job = finetune_job(tmp_path, tiny_llama, recipe=recipe, sample_prompts=())
    events = train_here(job)
    looks = [event for event in events if isinstance(event, Evaluated) and event.stage == "during"]
    best = min(looks, key=lambda look: look.bits_per_byte)
    assert looks[-1] == looks[looks.index(best) + recipe.patience]
    after = next(event for event in events if isinstance(event, Evaluated) and event.stage == "after")
    assert after.step == best.step
    assert after.bits_per_byte == pytest.approx(best.bits_per_byte, rel=5e-3)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.step) == ("early_stop", looks[-1].step)

    (job.work_dir / "said.json").unlink()  # as if it had been killed after it stopped, before it could say so
    again = train_here(job)
    assert [(event.reason, event.step) for event in again if isinstance(event, Finished)] == [
        ("early_stop", finished.step)
    ]
    assert [event for event in again if isinstance(event, Evaluated)][-1] == after
