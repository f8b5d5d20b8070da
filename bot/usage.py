"""The command line's words: what `mynah --help` tells."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from bot.gateways import families
from bot.gateways.forms import ABOUT


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    mynah = argparse.ArgumentParser(prog="mynah", description="Learns how someone posts, and then speaks like them.")
    mynah.add_argument("--version", action="version", version=f"mynah {version('mynah')}")
    mynah.add_argument("--config", type=Path, metavar="FILE", help="settings; config.toml of this folder by default")
    commands = mynah.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="start the bot with its console")
    _learning(commands)
    _speaking(commands)
    _judging(commands)
    _sharing(commands)
    recipe = commands.add_parser("recipe", help="what clones are trained by").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    recipe.add_parser("list", help="every recipe, yours among them")
    recipe.add_parser("show", help="all that a recipe sets").add_argument("name", metavar="NAME")
    wandb = commands.add_parser("wandb", help="runs that were tracked offline").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    wandb.add_parser("sync", help="upload them; WANDB_API_KEY is needed")
    _families(commands)
    discord = commands.add_parser("discord", help="the commands that Discord shows").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    sync = discord.add_parser("sync", help="send them now; `mynah run` sends them when they changed")
    sync.add_argument("--guild", default="", metavar="ID", help="to one server, where they appear at once")
    commands.add_parser("setup", help="bring the base model, and check it")
    commands.add_parser("doctor", help="look for what is missing or wrong").add_argument("--json", action="store_true")
    return mynah


_Commands = argparse._SubParsersAction  # argparse has no public name for it


def _path(text: str) -> Path:
    """An empty one is no path: `Path` takes it for the folder where Mynah was started."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def _families(commands: _Commands[argparse.ArgumentParser]) -> None:
    for family in families.FAMILIES:
        for name, form in family.forms.items():
            command = commands.add_parser(name, help=ABOUT[name], usage=f"mynah {form[1:]} [--json] [--yes]")
            command.add_argument("words", nargs="*", metavar="WORD", help="as at the prompt")
            command.add_argument("--json", action="store_true")
            command.add_argument("--yes", action="store_true", help="answer its question with yes")
            if "--dry-run" in form:
                command.add_argument("--dry-run", action="store_true", help="show what it would do, and do nothing")


def _learning(commands: _Commands[argparse.ArgumentParser]) -> None:
    clone = commands.add_parser("clone", help=ABOUT["clone"])
    clone.add_argument(
        "file", nargs="?", type=_path, metavar="FILE", help="X archive (zip or folder), CSV, JSON, or text"
    )
    clone.add_argument(
        "--source", choices=("file", "x"), default="file", help="x reads an account on X: HANDLE in place of FILE"
    )
    clone.add_argument("--depth", type=int, metavar="N", help="read the newest N posts from X")
    clone.add_argument("--as", dest="handle", metavar="NAME", help="whose posts they are, where the file does not say")
    clone.add_argument("--recipe", metavar="R", help="mynah, huggingtweets or your own; `mynah recipe list`")
    clone.add_argument("--newest", type=int, metavar="N", help="learn from the newest N posts only")
    clone.add_argument("--heldout", action="store_true", help="report held-out quality for any recipe")
    blend = commands.add_parser("blend", help=ABOUT["blend"])
    blend.add_argument("handles", nargs="+", metavar="HANDLE")
    blend.add_argument("--weights", nargs="+", type=float, metavar="N", help="one for each; equal by default")
    blend.add_argument("--as", dest="handle", metavar="NAME", help="the name of the blend")
    blend.add_argument("--recipe", metavar="R")
    blend.add_argument("--newest", type=int, metavar="N", help="learn from each one's newest N posts only")
    refresh = commands.add_parser("refresh", help=ABOUT["refresh"])
    refresh.add_argument("handle", metavar="HANDLE")
    refresh.add_argument("file", nargs="?", type=_path, metavar="FILE", help="a newer file of the same person's posts")
    for command in (clone, refresh):
        command.add_argument("--yes", action="store_true", help="agree to what reading from X costs")
    for command in (clone, blend, refresh):
        command.add_argument("--seed", type=int, metavar="N", help="for the same weights again on this machine")


def _speaking(commands: _Commands[argparse.ArgumentParser]) -> None:
    say = commands.add_parser("say", help=ABOUT["say"])
    say.add_argument("handle", metavar="HANDLE")
    say.add_argument("prompt", nargs="?", default="", metavar="PROMPT", help="how each post begins")
    say.add_argument("-n", "--count", type=int, default=1, metavar="N")
    say.add_argument("--seed", type=int, metavar="N", help="for the same posts again")
    say.add_argument("--json", action="store_true")
    commands.add_parser("models", help=ABOUT["models"]).add_argument("--json", action="store_true")


def _judging(commands: _Commands[argparse.ArgumentParser]) -> None:
    versions = commands.add_parser("versions", help=ABOUT["versions"])
    versions.add_argument("handle", metavar="HANDLE")
    versions.add_argument("--json", action="store_true")
    rollback = commands.add_parser("rollback", help=ABOUT["rollback"])
    rollback.add_argument("handle", metavar="HANDLE")
    rollback.add_argument("version", nargs="?", type=int, metavar="VERSION", help="the one before by default")
    evaluate = commands.add_parser("evaluate", help=ABOUT["evaluate"])
    evaluate.add_argument("handle", metavar="HANDLE")
    evaluate.add_argument("--samples", type=int, default=200, metavar="N")
    evaluate.add_argument("--seed", type=int, default=0, metavar="N")
    evaluate.add_argument("--json", action="store_true")


def _sharing(commands: _Commands[argparse.ArgumentParser]) -> None:
    card = commands.add_parser("card", help=ABOUT["card"])
    card.add_argument("handle", metavar="HANDLE")
    card.add_argument("--open", action="store_true", help="show it in the browser")
    export = commands.add_parser("export", help=ABOUT["export"])
    export.add_argument("handle", metavar="HANDLE")
    export.add_argument("folder", type=_path, metavar="DIR")
    push = commands.add_parser("push", help=ABOUT["push"])
    push.add_argument("handle", metavar="HANDLE")
    push.add_argument("--repo", metavar="NAME", help="NAME or OWNER/NAME; the handle by default")
    push.add_argument("--public", action="store_true", help="for everybody to see; private by default")
    adopt = commands.add_parser("adopt", help=ABOUT["adopt"])
    adopt.add_argument("origin", metavar="REPO_OR_DIR")
    adopt.add_argument("--as", dest="handle", metavar="NAME", help="the handle that it has here")
