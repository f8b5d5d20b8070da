"""The card: everything that a published huggingtweets bot's told, and more; and nothing that a name can break."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.cards import Page, card_facts, corpus, estimate, examples, person, quality
from tests.trainer.jobs import ROOT
from trainer.card import card_html, readme_body, stages, write_card
from trainer.card_facts import CardFacts, Run
from trainer.catalog import file_sha256
from trainer.protocol import AnyEvent, CardJob, JobFailed, Saved, Warned
from trainer.recipes import HUGGINGTWEETS, MYNAH, RECIPES, Recipe
from trainer.report import Change, DriftReport
from trainer.wording import one_line

HOSTILE_NAMES = [
    "Boris BOT",
    "a | b",
    "`code`",
    "``",
    "**bold** _too_ ~~gone~~",
    "[link](https://evil.example) ![picture](x.png)",
    "<b>B</b> <script>alert(1)</script> <!-- x -->",
    "&amp; &lt; &#35; & Co.",
    "# heading #",
    "1. one",
    "- item",
    "+ item",
    "---",
    "===",
    "> quote",
    "$x$ \\(y\\) C:\\new",
    "{{ name }} {% raw %}",
    "www.evil.example https://evil.example me@evil.example",
    "André 🥑🤖",
    "أحمد الشريف",
    "שלום (שלום)",
    "山田太郎",
    "x" * 300,
    "word " * 60,
]


PLAIN = Page.of(readme_body(card_facts()))


def job(tmp_path: Path, facts: CardFacts, **changes: Any) -> CardJob:
    return CardJob(
        job_id="card", base=facts.base, cache_dir=tmp_path, facts=facts, out_dir=tmp_path / "card", **changes
    )


def written(tmp_path: Path, facts: CardFacts, **changes: Any) -> tuple[ModelCard, list[AnyEvent]]:
    events: list[AnyEvent] = []

    def emit(event: AnyEvent) -> None:
        events.append(event)

    write_card(job(tmp_path, facts, **changes), emit)
    return ModelCard.load(tmp_path / "card" / "README.md"), events


def front_matter(card: ModelCard) -> ModelCardData:
    """What the Hub's own class reads of it."""
    assert isinstance(card.data, ModelCardData)
    return card.data


# the sections of RECIPE.md


def test_table_is_that_of_the_published_card() -> None:
    body = readme_body(card_facts(recipe=HUGGINGTWEETS))
    table = "| Tweets downloaded | 3247 |\n| Retweets | 34 |\n| Short tweets | 501 |\n| Tweets kept | 2712 |\n"
    assert table in body
    assert ["Data", "Quantity"] in Page.of(body).rows


def test_own_recipe_speaks_of_posts() -> None:
    rows = Page.of(readme_body(card_facts())).rows
    assert rows[1:5] == [["Posts collected", "3247"], ["Reposts", "34"], ["Short posts", "501"], ["Posts kept", "2712"]]


def test_blend_has_a_column_a_person() -> None:
    blend = card_facts(person("a", share=0.7), person("b", share=0.3, kept=100, characters=5000), recipe=HUGGINGTWEETS)
    page = Page.of(readme_body(blend))
    assert page.headings[0] == "a × b 🤖 AI Bot"
    assert ["Data", "@a", "@b"] in page.rows
    assert ["Tweets kept", "2712", "100"] in page.rows
    assert ["Characters kept", "203,456", "5,000"] in page.rows
    assert ["Share of what was heard, by characters", "70.0%", "30.0%"] in page.rows


def test_card_has_every_section_in_order() -> None:
    drift = DriftReport(
        old_posts=820,
        new_posts=427,
        changes=(Change(name="emoji per post", before=0.2, now=0.51),),
        style_distance=estimate(0.3),
        style_distance_self=estimate(0.02),
        rising=("css",),
        fading=("jquery",),
    )
    page = Page.of(readme_body(card_facts(report=quality(), drift=drift)))
    assert page.headings == [
        "andreruffert 🤖 AI Bot",
        "How it works",
        "Training data",
        "Explore the data",
        "Training procedure",
        "Evaluation",
        "What changed since the version before",
        "Examples",
        "How to use",
        "Limitations and bias",
        "Licence",
        "Consent and removal",
        "Attribution",
        "About",
    ]
    assert ["emoji per post", "0.2", "0.51"] in page.rows
    assert "@andreruffert bot" in page.text
    assert "huggingtweets by Boris Dayma" in page.text


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_procedure_tells_each_value_of_the_recipe(recipe: Recipe) -> None:
    page = Page.of(readme_body(card_facts(recipe=recipe, method=recipe.method, device="cpu")))
    told = dict(row for row in page.rows if len(row) == 2)
    unused = {"name", "summary", "sampling"} | ({"rank", "alpha"} if recipe.method == "full" else set())
    words = {"True": "yes", "False": "no", "None": "–"}
    expected = {name: words.get(str(value), str(value)) for name, value in recipe if name not in unused}
    assert {name: told[name] for name in expected} == expected
    assert (told["seed"], told["device"], told["hash of the base's weights"]) == ("42", "cpu", "b179c952")
    assert "temperature 1.0, top k 50, top p 0.95, min tokens 10, max tokens 160." in page.text


def test_runs_are_linked_where_they_are_online() -> None:
    online = Run(job_type="preprocess", run_id="3k2j", url="https://wandb.example/me/runs/3k2j")
    page = Page.of(readme_body(card_facts(runs=(online, Run(job_type="train", run_id="9s8d")))))
    assert "https://wandb.example/me/runs/3k2j" in page.links
    assert "train: offline, run 9s8d" in page.text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://x.example/) [y](javascript:z", "data:text/html,x"])
def test_address_of_a_run_opens_nothing_else(address: str) -> None:
    page = Page.of(readme_body(card_facts(runs=(Run(job_type="train", run_id="9s8d", url=address),))))
    assert not [link for link in page.links if not link.startswith("https://")]


def test_evaluation_holds_each_figure_beside_its_yardstick() -> None:
    rows = {row[0]: row[1:3] for row in Page.of(readme_body(card_facts(report=quality()))).rows if len(row) == 4}
    assert rows == {
        "Measure": ["Clone", "To compare"],
        "Bits per byte": ["1.79 (1.78–1.80)", "base: 2.52 (2.51–2.53)"],
        "Copy rate": ["1.0% (0.0–2.0)", "real posts: 2.0% (1.0–3.0)"],
        "Distinct-1": ["0.61 (0.60–0.62)", "real posts: 0.63 (0.62–0.64)"],
        "Distinct-2": ["0.93 (0.92–0.94)", "real posts: 0.94 (0.93–0.95)"],
        "Distinct-3": ["0.97 (0.96–0.98)", "real posts: 0.98 (0.97–0.99)"],
        "Self-BLEU": ["0.12 (0.11–0.13)", "real posts: 0.11 (0.10–0.12)"],
        "Style distance": ["0.310 (0.300–0.320)", "within real posts: 0.020 (0.010–0.030)"],
        "Who said it, one at a time": ["77.0% (76.0–78.0)", "real posts: 81.0% (80.0–82.0)"],
        "Who said it, five at a time": ["96.0% (95.0–97.0)", "real posts: 99.0% (98.0–100.0)"],
    }


def test_what_was_not_measured_is_said() -> None:
    assert "This version was not evaluated" in readme_body(card_facts())
    unseen = quality(heldout_posts=0, bits_per_byte=None, bits_per_byte_base=None)
    body = readme_body(card_facts(report=unseen, heldout_posts=0))
    assert "No posts were held out" in body
    assert "none were held out" in body
    assert "Bits per byte" not in body


def test_examples_leave_out_copies_and_repeats() -> None:
    said = examples("a new thing", "copied word by word", "a new thing", " \n ")
    rows = Page.of(readme_body(card_facts(report=quality(), examples=said))).rows
    assert [row for row in rows if row[0] in ("–", "Prompt")] == [["Prompt", "What it said"], ["–", "a new thing"]]


def test_how_to_use_names_the_repository_or_the_folder() -> None:
    shared = Page.of(readme_body(card_facts(repo="me/andre-bot"))).text
    assert 'pipeline("text-generation", model="me/andre-bot")' in shared
    assert 'generator("My dream is", num_return_sequences=5)' in shared
    assert 'model="exported/andreruffert")' in Page.of(readme_body(card_facts())).text


def test_consent_and_contact_are_told_or_said_to_be_missing() -> None:
    asked = readme_body(card_facts(person(consent="their own archive"), contact="owner@example.org"))
    assert "- @andreruffert: their own archive" in asked
    assert "mailto:owner@example.org" in Page.of(asked).links
    unasked = readme_body(card_facts())
    assert "no ground for the use of these posts is recorded" in unasked
    assert "write to whoever published this model" in unasked


def test_model_that_was_made_elsewhere_claims_nothing_of_its_training() -> None:
    nothing = {"downloaded": 0, "reposts": 0, "short": 0, "kept": 0, "characters": 0}
    adopted = HUGGINGTWEETS.model_copy(update={"name": "adopted", "summary": "Made elsewhere."})
    echo = person("echo", source="model made elsewhere", **nothing)
    facts = card_facts(echo, recipe=adopted, method="full", train_posts=0, heldout_posts=0, seed=0)
    body = readme_body(facts)
    told = Page.of(body).text
    assert "what it learned from is not known here" in told
    assert "It speaks with temperature 1.0" in told
    assert [word for word in ("collected", "learning_rate", "seed", "0 posts", "All of its") if word in told] == []
    assert stages(facts)[:2] == (("not known here",), ("not known here",))


# what the Hub reads


def test_front_matter_is_the_hubs(tmp_path: Path) -> None:
    posts = corpus(
        tmp_path, *(json.dumps({"text": f"Have a look at this small library that I wrote, {n}"}) for n in range(9))
    )
    facts = card_facts(recipe=HUGGINGTWEETS, base="gpt2", report=quality(), repo="me/andre-bot")
    data = front_matter(written(tmp_path, facts, corpus=posts)[0])
    assert data.language == "en"
    assert data.license == "mit"
    assert data.base_model == "openai-community/gpt2"
    assert data.tags == ["mynah", "huggingtweets"]
    assert (data.pipeline_tag, data.library_name) == ("text-generation", "transformers")
    assert data.get("thumbnail") == "https://huggingface.co/me/andre-bot/resolve/main/predictions.png"
    assert data.get("widget") == [{"text": "My dream is"}]
    assert data.model_name == "andre-bot"
    figures = {result.metric_type: result.metric_value for result in data.eval_results or ()}
    assert figures == {
        "bits_per_byte": 1.79,
        "copy_rate": 0.01,
        "distinct_1": 0.61,
        "distinct_2": 0.93,
        "distinct_3": 0.97,
        "self_bleu": 0.12,
        "style_distance": 0.31,
        "who_said_it": 0.77,
    }


def test_several_languages_are_listed(tmp_path: Path) -> None:
    lines = [
        "Today I would like to talk about the weather and my garden",
        "Hoy quiero hablar del tiempo, de mi jardín y de lo que comimos",
    ]
    posts = corpus(tmp_path, *(json.dumps({"text": line}) for line in lines * 5))
    assert sorted(front_matter(written(tmp_path, card_facts(), corpus=posts)[0]).language or ()) == ["en", "es"]


def test_own_recipe_is_not_tagged_as_the_original(tmp_path: Path) -> None:
    data = front_matter(written(tmp_path, card_facts(recipe=MYNAH))[0])
    assert data.tags == ["mynah"]
    assert data.get("thumbnail") == "predictions.png"
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_folder_of_a_base_stays_private(tmp_path: Path) -> None:
    base = tmp_path / "secret" / "my-base"
    base.mkdir(parents=True)
    card, _ = written(tmp_path, card_facts(base=str(base), base_licence="MIT"))
    assert "secret" not in card.content
    assert "my-base" in card.content
    assert front_matter(card).base_model is None


# hostile text


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_name_comes_out_as_itself(name: str) -> None:
    body = readme_body(card_facts(person(display_name=name)))
    assert Page.of(body).headings[0] == f"{one_line(name)} 🤖 AI Bot"
    assert Page.of(body).structure == PLAIN.structure


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_name_comes_out_as_itself(name: str) -> None:
    body = readme_body(card_facts(person(display_name=name)))
    assert Page.of(body).headings[0] == f"{one_line(name) or 'andreruffert'} 🤖 AI Bot"
    assert Page.of(body).structure == PLAIN.structure


@given(st.text(st.sampled_from("ab1 |`*_[]()<>#&;:-+=.!~$\\/@\"'{}%\n\t"), min_size=1, max_size=60))
@settings(max_examples=120)
def test_any_sample_stays_in_its_cell(text: str) -> None:
    page = Page.of(readme_body(card_facts(examples=examples("plain", "also plain", text))))
    assert {row[1] for row in page.rows if row[0] == "–"} == {"plain", "also plain", one_line(text)} - {""}
    plain = Page.of(readme_body(card_facts(examples=examples("plain", "also plain"))))
    assert set(page.structure) == set(plain.structure)


def test_every_other_text_of_a_stranger_stays_text() -> None:
    evil = "<i>x</i> | **y** [z](https://evil.example)\n# h"
    hostile = card_facts(person(source=evil, consent=evil), warning=evil, device=evil, contact=evil, base_licence=evil)
    page, plain = Page.of(readme_body(hostile)), Page.of(readme_body(card_facts(warning="x", device="x")))
    assert set(page.structure) == set(plain.structure)
    assert page.headings == plain.headings
    assert not [link for link in page.links if "evil" in link]


def test_name_cannot_turn_around_what_follows() -> None:
    heading = Page.of(readme_body(card_facts(person(display_name="\u202egpj.exe\u2066")))).headings[0]
    assert heading == "gpj.exe 🤖 AI Bot"


def test_name_of_white_space_gives_way_to_the_handle() -> None:
    assert Page.of(readme_body(card_facts(person(display_name=" \n\u200f ")))).headings[0] == "andreruffert 🤖 AI Bot"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_page_shows_a_name_as_text(name: str) -> None:
    facts = card_facts(person(display_name=name))
    page = card_html(facts.name, readme_body(facts))
    assert "<script" not in page
    assert "<b>" not in page
    assert 'href="https://evil' not in page
    assert page.count("<h1>") == page.count("<title>") == 1


# what is written


def test_card_is_written_whole_and_told(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "README.md").write_text("an older card")
    (tmp_path / "card" / "model.safetensors").write_text("weights")
    card, events = written(tmp_path, card_facts(examples=examples("Coffee first.")))
    files = {"README.md", "avatar.png", "card.html", "pipeline.png", "predictions.png"}
    assert "an older card" not in card.content
    assert {path.name for path in (tmp_path / "card").iterdir()} == files | {"model.safetensors"}
    [saved] = events
    assert isinstance(saved, Saved)
    assert saved.method == "card"
    assert {file.name: file.sha256 for file in saved.files} == {
        name: file_sha256(tmp_path / "card" / name) for name in files
    }


def test_page_is_self_contained(tmp_path: Path) -> None:
    written(tmp_path, card_facts(report=quality()))
    page = (tmp_path / "card" / "card.html").read_text(encoding="utf-8")
    assert [name for name in ("avatar", "predictions", "pipeline") if f'src="{name}.png"' not in page] == []
    assert "<link" not in page
    assert "<script" not in page
    assert "prefers-color-scheme: dark" in page
    assert "default-src 'none'" in page


def test_bad_picture_is_told_and_replaced_by_initials(tmp_path: Path) -> None:
    picture = tmp_path / "me.png"
    picture.write_text("no picture")
    _, events = written(tmp_path, card_facts(person(picture=picture)))
    warned = [event for event in events if isinstance(event, Warned)]
    assert [warning.message for warning in warned] == [
        "The picture of @andreruffert was left out: it is no PNG, JPEG or WebP picture, or a broken one."
    ]
    assert (tmp_path / "card" / "avatar.png").is_file()


@pytest.mark.parametrize("line", ["{", '{"id": 1}', "[]", "7"])
def test_broken_corpus_is_told(tmp_path: Path, line: str) -> None:
    with pytest.raises(JobFailed) as failure:
        written(tmp_path, card_facts(), corpus=corpus(tmp_path, line))
    assert (failure.value.kind, failure.value.message) == ("corrupt", "The corpus of this clone cannot be read.")


def test_card_loads_no_model_library(tmp_path: Path) -> None:
    code = (
        "import sys; from trainer.card import write_card; from trainer.protocol import CardJob\n"
        "write_card(CardJob.model_validate_json(sys.stdin.read()), lambda event: None)\n"
        "print(*sorted(set(sys.modules) & {'torch', 'transformers', 'peft', 'wandb', 'sklearn'}))"
    )
    card = job(tmp_path, card_facts()).model_dump_json()
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=card, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
