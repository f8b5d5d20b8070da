"""The model card that a clone leaves behind: README.md, its pictures, and card.html to look at here.

Loads no model library. Everything that a person wrote (names, posts, samples) stays text: it is escaped where the
template puts it out (`trainer.markdown`), the pictures take it as data (`trainer.pictures`), and card.html is rendered
with raw HTML switched off.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markdown_it import MarkdownIt
from markupsafe import Markup

from trainer.card_facts import CardFacts, Run
from trainer.card_metadata import PUBLIC_HUB, START, base_licence, base_name, card_metadata, hub_id, repo_name
from trainer.files import describe
from trainer.languages import languages
from trainer.markdown import Markdown, escape, markdown_environment
from trainer.pictures.draw import Stage, draw
from trainer.protocol import CardJob, JobFailed, Saved, Warned
from trainer.recipes import Recipe
from trainer.report import Estimate
from trainer.stream import Emit
from trainer.wording import one_line

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES = 10

_NOT_IN_A_STRING = re.compile(r"[\"\\`\n\r]")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)


def write_card(job: CardJob, emit: Emit) -> None:
    """Write the card's files beside, then each in place of an older one; `saved` names them.

    Raises:
        JobFailed: kind `corrupt` where the corpus cannot be read.
    """
    facts, hub_url = job.facts, job.hub_url or PUBLIC_HUB
    written_in = languages(_posts(job.corpus)) if job.corpus else ()
    job.out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".card-", dir=job.out_dir) as name:
        folder = Path(name)
        draw(facts, stages(facts), folder, lambda problem: emit(Warned(message=problem)))
        body = readme_body(facts, hub_url)
        front_matter = card_metadata(facts, written_in, hub_url).to_yaml()
        (folder / "README.md").write_text(f"---\n{front_matter}\n---\n\n{body}", encoding="utf-8")
        (folder / "card.html").write_text(card_html(facts.name, body), encoding="utf-8")
        written = sorted(path.name for path in folder.iterdir())
        for file in written:
            os.replace(folder / file, job.out_dir / file)
    emit(Saved(method="card", files=tuple(describe(job.out_dir / file) for file in written)))


def readme_body(facts: CardFacts, hub_url: str = PUBLIC_HUB) -> str:
    """The card as Markdown, without its front matter."""
    known = hub_id(facts.base)
    text = _readme_template().render(
        facts=facts,
        base=_link(base_name(facts), f"{hub_url.rstrip('/')}/{known}" if known else ""),
        base_licence=base_licence(facts),
        examples=facts.new_examples[:EXAMPLES],
        start=START,
        where=repo_name(facts) or f"exported/{facts.handle}",
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def card_html(name: str, body: str) -> str:
    """The card as a page of its own; whatever looks like HTML in it is shown as text, and no script can run."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("card.html.jinja").render(name=name, body=Markup(rendered))


def stages(facts: CardFacts) -> tuple[Stage, ...]:
    """What the pipeline picture says under posts, corpus, training, checks and voice."""
    downloaded, reposts, short, kept = (
        sum(getattr(person, count) for person in facts.people) for count in ("downloaded", "reposts", "short", "kept")
    )
    sources = sorted({one_line(person.source) for person in facts.people if person.source})
    report = facts.report
    checks: Stage = ("not evaluated",)
    if report and report.bits_per_byte and report.bits_per_byte_base:
        before, after = (_figure(bits.value, "decimal") for bits in (report.bits_per_byte_base, report.bits_per_byte))
        checks = (f"{facts.heldout_posts:,} posts held out", f"{before} → {after} bits per byte")
    elif report and report.samples:
        checks = (f"{report.samples.samples:,} samples judged", "no posts held out")
    method = f"{'LoRA beside' if facts.method == 'lora' else 'All weights of'} {base_name(facts)}"
    learned: tuple[Stage, Stage, Stage] = (
        (f"{downloaded:,} collected", *sources[:2]),
        (f"{kept:,} kept", f"{reposts:,} reposts and {short:,} short ones left out"),
        (method, f"{facts.train_posts:,} posts"),
    )
    elsewhere: tuple[Stage, Stage, Stage] = (("not known here",), ("not known here",), (method, "made elsewhere"))
    return (
        *(learned if facts.made_here else elsewhere),
        checks,
        (*(f"@{one_line(person.handle)}" for person in facts.people), "says what nobody posted"),
    )


@cache
def _readme_template() -> Template:
    filters: dict[str, Callable[..., object]] = {
        "contact_link": _contact_link,
        "count": lambda number: f"{number:,}",
        "day": _day,
        "estimate": _estimate,
        "literal": lambda text: Markdown(_NOT_IN_A_STRING.sub("", text)),
        "measure": lambda number: f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}",
        "percent": lambda share: _figure(share, "percent"),
        "run_link": _run_link,
        "setting": _setting,
        "settings": _settings,
    }
    return markdown_environment(TEMPLATES, filters).get_template("README.md.jinja")


def _posts(corpus: Path) -> Iterator[str]:
    with corpus.open(encoding="utf-8") as lines:
        try:
            yield from (str(json.loads(line)["text"]) for line in lines)
        except (ValueError, KeyError, TypeError):
            raise JobFailed("corrupt", "The corpus of this clone cannot be read.", "Clone the persona anew.") from None


def _link(text: str, url: str) -> Markdown:
    """A link where `url` is an address of the web; else the text alone."""
    if urlsplit(url).scheme not in ("http", "https"):
        return escape(text)
    return Markdown(f"[{escape(text)}]({quote(url, safe=':/?#@!$&=+,;~%')})")


def _contact_link(contact: str) -> Markdown:
    """An address of the web or of mail as a link; other words as they are."""
    mail = _MAIL.fullmatch(contact)
    return Markdown(f"[{escape(contact)}](mailto:{quote(contact, safe='@+')})") if mail else _link(contact, contact)


def _run_link(run: Run) -> Markdown:
    return _link(run.run_id, run.url) if run.url else Markdown(f"offline, run {escape(run.run_id)}")


def _figure(value: float, form: str) -> str:
    """decimal: two places. fine: three. percent: a share."""
    return f"{100 * value:.1f}%" if form == "percent" else f"{value:.{3 if form == 'fine' else 2}f}"


def _estimate(estimate: Estimate, form: str) -> str:
    """A figure, and its confidence interval in brackets."""
    low, high = _figure(estimate.low, form), _figure(estimate.high, form)
    return f"{_figure(estimate.value, form)} ({low.removesuffix('%')}–{high.removesuffix('%')})"


def _settings(recipe: Recipe) -> Sequence[tuple[str, object]]:
    """What the recipe sets, by its fields' names."""
    elsewhere = {"name", "summary", "sampling"} | ({"rank", "alpha"} if recipe.method == "full" else set())
    return [(name, value) for name, value in recipe if name not in elsewhere]


def _setting(value: object) -> str:
    if value is None:
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _day(moment: datetime) -> str:
    """ "24 November 2026", in UTC."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{utc.day} {utc:%B %Y}"
