"""The local console: a prompt on a terminal, one command a line on a pipe. Both call `bot.commands`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console as Screen
from rich.progress import BarColumn, Progress, TextColumn

from bot.app import App
from bot.bundled import bundled_handle
from bot.cards import PAGE
from bot.cloning import Update
from bot.commands import Submitted
from bot.errors import CommandError, place_of
from bot.gateways import families, figures, text
from bot.gateways.command_line import (
    blend_request,
    clone_request,
    export_folder,
    help_lines,
    parse,
    refresh_request,
    say_request,
)
from bot.gateways.completion import CommandCompleter
from bot.gateways.line import Line, refuse_words, the_handle, whole_number, yes_or_no
from bot.gateways.printable import printable
from bot.gateways.stdin import lines_of_stdin
from bot.settings import Settings
from storage.clones import MOVES
from storage.errors import MynahError, UnderWay
from trainer.protocol import Step

log = logging.getLogger(__name__)

STEP_LINE_EVERY_S = 5.0


class Console:
    """One person at a terminal, or one script on a pipe."""

    def __init__(self, app: App, screen: Screen) -> None:
        self._app = app
        self._screen = screen
        self._following: str | None = None
        self._task: asyncio.Future[None] | None = None
        self._cancelling: asyncio.Future[None] | None = None
        self.refused = 0
        self.interrupted = False

    async def serve_pipe(self) -> None:
        """Commands one a line, in order, each waiting for the last, until `/quit` or the end of the input."""
        async for line in lines_of_stdin():
            if line.strip() and not line.lstrip().startswith("#") and not await self._obey(line):
                return

    async def serve_terminal(self, history: Path) -> None:
        """A prompt with history and completion, until `/quit` or Ctrl-D."""
        session: PromptSession[str] = PromptSession(history=_private_history(history))
        warming = asyncio.create_task(self._warm())
        try:
            while True:
                try:
                    with patch_stdout():
                        completer = CommandCompleter(await self._app.commands.handles())
                        # Ctrl-C is a key here. The signal stays `interrupt`'s: what prompt_toolkit sets in its place
                        # it does not put back, and then no training could be cancelled by Ctrl-C.
                        line = await session.prompt_async("mynah> ", completer=completer, handle_sigint=False)
                except EOFError:
                    return
                except KeyboardInterrupt:
                    self._say("/quit or Ctrl-D leaves; /train cancel ends a training.")
                    continue
                if line.strip() and not await self._obey(line):
                    return
        finally:
            warming.cancel()

    async def until_stopped(self, talk: Coroutine[object, object, None]) -> bool:
        """Talk until it is over; True where SIGTERM, or Ctrl-C with nothing to cancel, ended it."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(talk)
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._task.cancel)
        try:
            await self._task
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            return True
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
        return False

    def interrupt(self) -> None:
        """Ctrl-C: cancels the training that is being watched; anywhere else it ends the console."""
        self.interrupted = True
        if self._following is not None:
            clone_id, self._following = self._following, None
            self._say("Cancelling the training …")
            self._cancelling = asyncio.ensure_future(self._app.cloning.cancel(clone_id))
        elif self._task is not None:
            self._task.cancel()

    async def _obey(self, line: str) -> bool:
        """Do one command; False for `/quit`. What is refused is said and counted."""
        try:
            command = parse(line)
            if command.name == "quit":
                return False
            await self._do(command)
        except MynahError as error:
            self.refused += 1
            self._complain(error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours in one command must not end the bot
            self.refused += 1
            name = line.split()[0].strip("/!")
            log.error("/%s met %s at %s.", name, type(error).__name__, place_of(error))
            self._complain(
                CommandError("Mynah met an error that it does not know.", "Please report it; the log names the place.")
            )
        return True

    async def _do(self, line: Line) -> None:
        commands = self._app.commands
        match line.name:
            case "clone" | "blend" | "refresh":
                await self.learn(self._order(line))
            case "versions" | "rollback":
                await self._versions(line)
            case "evaluate" | "card" | "push" | "adopt":
                await self._present(line)
            case "say":
                await self._speak(line)
            case "models":
                self._say(*text.models_table(await commands.models()))
            case "train":
                await self._train(line)
            case "export":
                folder = export_folder(line)
                ready = await commands.export(the_handle(line), folder)
                self._say(f"@{ready.persona.handle} is in {folder}: transformers.pipeline loads it.")
            case "help":
                self._say(*help_lines(line))
            case _:
                family = families.of(line.name)
                assert family is not None, "parse knows no other commands"
                answered = await family.do(commands, line, self._ask)
                self._say(*answered.lines)
                if answered.failed:
                    raise CommandError(answered.failed)

    async def _ask(self, question: str) -> bool:
        """Yes or no, from the terminal; on a pipe nobody can be asked."""
        if not self._screen.is_terminal:
            return False
        try:
            answer = await PromptSession[str]().prompt_async(f"{question} [y/N] ", handle_sigint=False)
        except (EOFError, KeyboardInterrupt):  # Ctrl-D and Ctrl-C are no yes, and here they end nothing
            return False
        return answer.strip().lower() in ("y", "yes")

    async def greet(self, settings: Settings) -> None:
        """Say who is here and what to type next."""
        models = await self._app.commands.models()
        ready = sorted((model.bundled, model.handle) for model in models if model.is_current)
        under_way = await self._app.commands.train_status()
        self._say(*text.greeting(settings, [handle for _, handle in ready], under_way))
        for notice in await self._app.commands.notices.unseen():
            self._say(f"{notice.message} {notice.hint}".rstrip())

    async def learn(self, order: Coroutine[object, object, Submitted]) -> None:
        """In line, then watched to its end."""
        async with self._app.cloning.listen() as updates:
            try:
                submitted = await order
            except UnderWay as busy:  # such as one that a restart interrupted: what its person wants is to see it
                self._say(f"{busy.message} It is shown here; nothing else is read until it is ready.")
                await self._name_first(busy.clone_id)
                await self._follow(busy.clone_id, updates)
                return
            if submitted.ahead:
                self._say(f"@{submitted.handle}: in line, {submitted.ahead} ahead.")
                await self._name_first(submitted.clone.id)
            await self._follow(submitted.clone.id, updates)

    async def _name_first(self, clone_id: str) -> None:
        """Say for whom a clone waits, such as one that the last run left unfinished."""
        first = next(iter(await self._app.commands.train_status()), None)
        if first is not None and first.clone_id != clone_id:
            self._say(
                f"@{first.handle}, version {first.version}, is made first; "
                f"to have it cancelled, `/train cancel @{first.handle}` in `mynah run`."
            )

    async def _speak(self, line: Line) -> None:
        """Each post as soon as it is there, under the name of who imitates whom."""
        names, request = iter([True]), say_request(line)
        said = await self._app.commands.say(
            request, lambda said: self._say(*text.said(said)[0 if next(names, False) else 1 :])
        )
        self._say(*text.shortfall(said, request.count))

    def _order(self, line: Line) -> Coroutine[object, object, Submitted]:
        commands = self._app.commands
        match line.name:
            case "blend":
                return commands.blend(blend_request(line, "console"))
            case "refresh":
                return commands.refresh(refresh_request(line, "console", self._ask))
        return commands.clone(clone_request(line, "console", self._ask))

    async def _versions(self, line: Line) -> None:
        commands, handle = self._app.commands, the_handle(line)
        refuse_words(line, 0)
        if line.name == "rollback":
            clone = await commands.rollback(handle, whole_number(line, "version"))
            self._say(f"{handle}: version {clone.version} speaks now.")
        else:
            self._say(*figures.versions_table(await commands.versions(handle)))

    async def _present(self, line: Line) -> None:
        """What takes a finished clone, or brings one."""
        commands = self._app.commands
        refuse_words(line, 1 if line.name == "adopt" else 0)
        match line.name:
            case "evaluate":
                samples, seed = whole_number(line, "samples"), whole_number(line, "seed")
                self._say("Judging takes a minute or two …")
                evaluated = await commands.evaluate(the_handle(line), 200 if samples is None else samples, seed or 0)
                self._say(*figures.evaluation(evaluated))
            case "card":
                folder = await commands.card(the_handle(line))
                self._say(f"The card is in {folder}: README.md, {PAGE}, predictions.png.")
            case "push":
                public = yes_or_no(line, "public") or False
                pushed = await commands.push(the_handle(line), line.options.get("repo"), public=public)
                self._say(f"{pushed.repo} is at {pushed.url}, for {'everybody' if public else 'you alone'} to see.")
            case _:
                if not line.words:
                    raise CommandError("Whom shall Mynah adopt?", f"The form is {line.form}")
                self._say(*text.newcomer(await commands.adopt(line.words[0], line.options.get("as") or line.handle)))

    async def _train(self, line: Line) -> None:
        refuse_words(line, 1)
        match line.words:
            case () | ("status",):
                under_way = await self._app.commands.train_status()
                self._say(*(text.models_table(under_way) if under_way else ["Nothing is being trained."]))
            case ("cancel",):
                cancelled = await self._app.commands.train_cancel(line.handle)
                self._say(f"@{cancelled.handle}: cancelled.")
            case ("watch",):
                async with self._app.cloning.listen() as updates:
                    under_way = await self._app.commands.train_status()
                    if under_way:
                        await self._follow(under_way[0].clone_id, updates)
                    else:
                        self._say("Nothing is being trained.")
            case _:
                raise CommandError(f"/train does not know {line.words[0]!r}.", f"The form is {line.form}")

    async def _follow(self, clone_id: str, updates: asyncio.Queue[Update]) -> None:
        """Show a clone's life until it ends."""
        self._following = clone_id
        if self._screen.is_terminal:
            self._say("Ctrl-C cancels it; commands that you type meanwhile wait for its end.")
        try:
            with _progress(self._screen) as show_step:
                while True:
                    update = await updates.get()
                    if update.clone.id != clone_id:
                        continue
                    if isinstance(update.event, Step):
                        show_step(update.handle, update.event)
                    self._tell(update)
                    if not MOVES[update.clone.state] and update.event is None:
                        self.refused += update.clone.state == "cancelled"
                        return
        finally:
            self._following = None

    def _tell(self, update: Update) -> None:
        if update.clone.state == "failed" and update.event is None:
            self.refused += 1
            for line in text.told(update):
                print(line, file=sys.stderr, flush=True)
            return
        self._say(*text.told(update))

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._screen.print(printable(line), markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _complain(self, error: MynahError) -> None:
        print(text.sentence(error), file=sys.stderr, flush=True)

    async def _warm(self) -> None:
        """Start the voice while the person reads the greeting."""
        try:
            await self._app.commands.warm(bundled_handle())
        except MynahError as error:
            log.info("The voice did not start ahead of time: %s", error)


def _private_history(path: Path) -> FileHistory:
    """What was typed, readable by its owner alone: prompts are as private as the database."""
    path.touch(mode=0o600)
    return FileHistory(str(path))


@contextmanager
def _progress(screen: Screen) -> Iterator[Callable[[str, Step], None]]:
    """How steps are shown: one line that updates on a terminal, a plain line now and then on a pipe."""
    if not screen.is_terminal:
        last = 0.0

        def show_line(handle: str, step: Step) -> None:
            nonlocal last
            if step.step == step.of or time.monotonic() - last >= STEP_LINE_EVERY_S:
                last = time.monotonic()
                screen.print(text.step_line(handle, step), markup=False, highlight=False, emoji=False, soft_wrap=True)

        yield show_line
        return
    columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=screen, transient=True) as progress:
        bar = progress.add_task("getting ready …", total=None)

        def show_bar(handle: str, step: Step) -> None:
            progress.update(bar, description=text.step_line(handle, step), completed=step.step, total=step.of)

        yield show_bar


async def serve(app: App, settings: Settings) -> int:
    """Talk to whoever is at stdin; the exit status is 1 if a command of a pipe was refused, or a signal ended it."""
    # Python has no stdin where the system gave none.
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    console = Console(app, _screen(on_terminal))
    await console.greet(settings)
    talk = console.serve_terminal(settings.data_dir / "history") if on_terminal else console.serve_pipe()
    stopped = await console.until_stopped(talk)
    return 1 if stopped or (console.refused and not on_terminal) else 0


async def learn_once(app: App, order: Coroutine[object, object, Submitted]) -> int:
    """Have one clone made and watch it to its end, for the command line."""
    console = Console(app, _screen(sys.stdout.isatty()))
    stopped = await console.until_stopped(console.learn(order))
    if not stopped and not console.refused:
        return 0
    return 130 if console.interrupted else 1


def _screen(on_terminal: bool) -> Screen:
    return Screen(force_terminal=on_terminal, width=None if on_terminal else 200)
