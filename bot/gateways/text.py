"""What people read on a terminal or a pipe: results and events as lines of text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from bot.cloning import Update
from bot.commands import Said
from bot.doctor import Finding
from bot.gateways import figures
from bot.gateways.printable import printable
from bot.settings import Settings
from bot.sharing import Newcomer
from storage.clones import Overview
from storage.errors import MynahError
from trainer.protocol import AnyEvent, Counted, Evaluated, Finished, Sample, Started, Step, Warned
from trainer.recipes import Recipe

RULE = "─" * 34


def sentence(error: MynahError) -> str:
    """An error as it is shown."""
    return "\n".join(printable(line) for line in str(error).splitlines())


def data_table(counted: Counted) -> list[str]:
    """The table of RECIPE.md, and how the kept posts were split."""
    rows = [
        ("Posts downloaded", counted.downloaded),
        ("Reposts", counted.reposts),
        ("Short posts", counted.short),
        ("Posts kept", counted.kept),
    ]
    lines = [f"  {'Data':<22}{'Quantity':>10}", f"  {RULE[:32]}"]
    lines += [f"  {name:<22}{quantity:>10,}" for name, quantity in rows]
    split = f"  {counted.train:,} to learn from"
    if counted.heldout:
        split += f", the newest {counted.heldout:,} held out to measure on"
    left_out = [
        f"{count:,} {why}"
        for count, why in ((counted.duplicates, "said again"), (counted.quoted, "quoting others by hand"))
        if count
    ]
    if left_out:
        split += f"; left out: {', '.join(left_out)}"
    lines += [
        f"  @{row.person}: {row.kept:,} kept of {row.downloaded:,}, {row.share:.1%} of the characters heard"
        for row in counted.people
    ]
    if counted.new is not None:
        split += f"; {counted.new:,} of those to learn from are new"
    return [*lines, f"{split}. {counted.characters:,} characters."]


def another_account(named: str, handle: str) -> str:
    """What is said where a file is not of the one whom a persona is called after: nobody should miss that."""
    return f"The file is of @{printable(named)}, whose posts @{handle} learns from now."


def told(update: Update) -> list[str]:
    """An update as lines; nothing for what only a progress bar shows."""
    if update.imported is not None:
        added = update.imported
        new = f"{added.new:,} posts are" if added.new != 1 else "1 post is"
        lines = [f"{new} new, {added.updated:,} changed, {added.unchanged:,} known already."]
        lines += [f"Mind: {another_account(added.of_another, update.handle)}"] if added.of_another else []
    elif update.note:
        lines = [update.note]
    elif update.event is None and update.clone.state == "ready":
        clone = update.clone
        if clone.spoke_at is None:
            return [
                f"@{update.handle}: version {clone.version} is ready and does not speak. {printable(clone.verdict)}",
                f"  /rollback @{update.handle} version={clone.version} lets it speak all the same",
            ]
        verdict = [f"@{update.handle}: {printable(clone.verdict)}"] if clone.verdict else []
        return [f"@{update.handle} is ready.", *verdict, f'  /say @{update.handle} prompt="My dream is" count=5']
    elif update.event is None:
        lines = _state(update)
    elif isinstance(update.event, Sample):
        return [f"@{update.handle} practises: {printable(update.event.text)}"]
    else:
        lines = _event(update.event, refreshed=update.clone.goes_on_from is not None)
    return [f"@{update.handle}: {line}" if not line.startswith("  ") else line for line in lines]


def _event(event: AnyEvent, *, refreshed: bool) -> list[str]:
    match event:
        case Counted():
            return ["the data", *data_table(event), *([f"  Mind: {event.warning}"] if event.warning else [])]
        case Started():
            again = f", from step {event.resumed_at_step}" if event.resumed_at_step else ""
            return [f"training on {event.device} in {event.precision}, seed {event.seed}{again}."]
        case Evaluated(stage="before") if refreshed:  # which begins with the version before, not with the base
            return [f"held-out bits per byte of the base {event.bits_per_byte:.3f}"]
        case Evaluated(stage="before" | "after"):
            judging = ["now its samples are judged …"] if event.stage == "after" else []
            return [f"held-out bits per byte {event.stage} training {event.bits_per_byte:.3f}", *judging]
        case Finished(reason="early_stop"):
            return [f"stopped at step {event.step}, where held-out posts were predicted best before."]
        case Warned():
            return [f"{printable(event.message)} {printable(event.hint)}".rstrip()]
    return figures.of_event(event)


def newcomer(newcomer: Newcomer) -> list[str]:
    """`/adopt`'s answer."""
    replaced = f" in place of version {newcomer.replaces}" if newcomer.replaces else ""
    return [
        f"@{newcomer.handle} speaks here now{replaced}.",
        f'  /say @{newcomer.handle} prompt="My dream is" count=5',
    ]


def step_line(handle: str, step: Step) -> str:
    """Where a training is."""
    return (
        f"@{handle} step {step.step}/{step.of}  loss {step.loss:.2f}  "
        f"{step.tokens_per_s:.0f} tokens/s  ETA {duration(step.eta_s)}"
    )


def duration(seconds: float) -> str:
    """1:05, or 2:01:05."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def said(result: Said) -> list[str]:
    """Posts, one a line, under the name of who imitates whom."""
    return [f"@{result.handle} (a bot imitating them):", *(printable(text) for text in result.texts)]


def shortfall(result: Said, count: int) -> list[str]:
    """What is to be said where fewer posts came than were asked for."""
    came = len(result.texts)
    if came == count:
        return []
    return [f"Only {came} of {count} came: the others were somebody's posts already, or could not be had now."]


def recipe_table(recipe: Recipe) -> list[str]:
    """All that a recipe sets, as config.toml would have it."""
    rows = recipe.model_dump(exclude={"name", "summary", "sampling"})
    lines = [f"# {recipe.summary}", f"[recipes.{recipe.name}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in rows.items() if value is not None]
    lines += ["", f"[recipes.{recipe.name}.sampling]"]
    return lines + [f"{key} = {_toml(value)}" for key, value in recipe.sampling.model_dump().items()]


def _toml(value: object) -> str:
    return json.dumps(value)  # the same for text, numbers, true and false


def models_table(models: Sequence[Overview]) -> list[str]:
    """Every clone in a line."""
    if not models:
        return ["No clones yet. /clone @handle file=PATH makes one."]
    lines = [f"{'handle':<24}{'version':>7}  {'state':<11}{'recipe':<15}{'kept':>7}  {'bits per byte':<15}made"]
    for model in models:
        before, after = model.bits_per_byte_before, model.bits_per_byte_after
        quality = f"{before:.2f} → {after:.2f}" if before and after else "–"
        kept = "–" if model.posts_kept is None else f"{model.posts_kept:,}"
        mark = "*" if model.is_current else " "
        lines.append(
            f"@{model.handle:<23}{model.version:>6}{mark}  {model.state:<11}{model.recipe:<15}{kept:>7}  "
            f"{quality:<15}{model.created_at:%Y-%m-%d %H:%M}"
        )
        if model.error_message:
            lines.append(f"    {printable(model.error_message)}")
    return [*lines, "* speaks for its persona"] if any(model.is_current for model in models) else lines


def findings_list(findings: Sequence[Finding]) -> list[str]:
    """What `mynah doctor` found, and what to do about it."""
    marks = {"ok": "ok  ", "warn": "mind", "fail": "FAIL"}
    width = max((len(finding.name) for finding in findings), default=0) + 2
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{marks[finding.status]}  {finding.name:<{width}}{finding.detail}")
        if finding.advice:
            lines.append(f"      {'':<{width}}→ {finding.advice}")
    return lines


def greeting(settings: Settings, handles: Sequence[str], under_way: Sequence[Overview]) -> list[str]:
    """What a person reads at the start."""
    lines = [f"Mynah{_version()} speaks like people post. Base {settings.base_model}, data in {settings.data_dir}"]
    if settings.tokens.discord_token is None:
        lines.append("Not on Discord, since there is no DISCORD_TOKEN (docs/discord.md); commands are taken here.")
    for clone in under_way:
        lines.append(f"The training of @{clone.handle} goes on: /train watch shows it.")
    names = ", ".join(f"@{handle}" for handle in handles[:8]) + (" …" if len(handles) > 8 else "")
    lines.append(f"Ready to talk: {names}" if handles else "Nobody is ready to talk yet.")
    if handles:
        lines.append(f'  /say @{handles[0]} prompt="My dream is" count=5')
    lines.append("  /clone @you file=your-x-archive.zip    learns from your own posts; /help lists the rest")
    return lines


def _version() -> str:
    """The version, where Mynah is installed; a bare checkout has none."""
    try:
        return f" {version('mynah')}"
    except PackageNotFoundError:
        return ""


def _state(update: Update) -> list[str]:
    clone = update.clone
    match clone.state:
        case "queued":
            return [] if clone.attempts == 0 else ["goes on at the next start."]
        case "collecting":
            return ["reading the posts."] if clone.source_path else []
        case "failed":
            return [f"{printable(clone.error_message or '')} {printable(clone.error_hint or '')}".rstrip()]
        case "cancelled":
            return ["cancelled."]
    return []
