"""A voice in a process of its own: `python -m bot.voice.worker ENGINE`, requests in on stdin, answers out on stdout.

It ends when stdin closes, which it also does when the bot dies. SIGTERM ends it at once: it has nothing to put in
order, and a handler in Python would wait for the main thread, which waits for a request. SIGINT is the bot's to handle.
No prompt, post or reply is ever logged.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, NoReturn, get_args

from pydantic import ValidationError

from bot.errors import VoiceError
from bot.voice.base import Cancelled, Engine, UnsupportedSpeaker, Utterance
from bot.voice.wire import REQUEST, Answer, Cancel, EngineName, Failure, Load, Question, Score, Speak, to_line

_ANSWERING_AT_ONCE = 64
"""Each is a thread that waits for the engine's; further requests wait in line."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until stdin closes."""
    options = _parse(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = _end_at_once
    answers = _claim_stdout()
    engine = _open_engine(options)
    _Worker(engine, answers).serve(sys.stdin.buffer)
    # A native thread may be in the middle of a batch; nobody waits for it, and it only reads its files.
    os._exit(0)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.voice.worker", description=__doc__)
    parser.add_argument("engine", choices=get_args(EngineName))
    parser.add_argument("--slots", type=int, default=8, help="samples made at once")
    parser.add_argument("--context-tokens", type=int, default=256, help="tokens of one sample, prompt included")
    parser.add_argument("--threads", type=int, default=0, help="cores; 0 takes all physical ones")
    parser.add_argument("--adapters", type=int, default=4, help="adapters kept ready on one base")
    return parser.parse_args(arguments)


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for answers; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _open_engine(options: argparse.Namespace) -> Engine:
    """Import only the engine that was asked for: one needs no torch, the other no llama.cpp."""
    if options.engine == "plain":
        from bot.voice.plain import PlainEngine

        return PlainEngine(options.context_tokens, options.threads)
    from bot.voice.llamacpp import LlamaCppEngine, Shape

    return LlamaCppEngine(Shape(options.slots, options.context_tokens, options.threads), options.adapters)


class _Worker:
    """Reads requests in one thread and answers them in others."""

    def __init__(self, engine: Engine, answers: BinaryIO) -> None:
        self._engine = engine
        self._answers = answers
        self._writing = threading.Lock()
        self._threads = ThreadPoolExecutor(_ANSWERING_AT_ONCE, thread_name_prefix="answer")
        self._cancellations: dict[int, threading.Event] = {}

    def serve(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            try:
                request = REQUEST.validate_json(line)
            except ValidationError as error:
                # The bot and its worker are one version, so this is a fault of ours; the input itself is not shown.
                reasons = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)]
                sys.stderr.write(f"a request was not understood: {'; '.join(reasons)}\n")
                continue
            if isinstance(request, Cancel):
                if event := self._cancellations.get(request.id):
                    event.set()
            else:
                self._cancellations[request.id] = threading.Event()
                self._threads.submit(self._answer, request)

    def _answer(self, question: Question) -> None:
        cancelled = self._cancellations[question.id]
        try:
            answer = self._ask_engine(question, cancelled)
        except VoiceError as error:
            answer = Answer(id=question.id, failure=_failure(error))
        except Exception as error:  # noqa: BLE001 - a fault in one answer must reach its asker, and not the others
            sys.stderr.write(f"an answer failed: {type(error).__name__} at {_place(error)}\n")
            message = f"The voice failed inside ({type(error).__name__})."
            answer = Answer(id=question.id, failure=Failure(kind="internal", message=message, hint="Try again."))
        finally:
            del self._cancellations[question.id]
        self._tell(answer)

    def _tell(self, answer: Answer) -> None:
        with self._writing:
            self._answers.write(to_line(answer))
            self._answers.flush()

    def _hear(self, question: Speak, post: str) -> None:
        """One of several posts is there."""
        if question.count > 1:
            self._tell(Answer(id=question.id, more=True, texts=[post]))

    def _ask_engine(self, question: Question, cancelled: threading.Event) -> Answer:
        if cancelled.is_set():
            raise Cancelled("The request was cancelled.")
        match question:
            case Load():
                self._engine.load(question.speaker)
                return Answer(id=question.id)
            case Score():
                return Answer(id=question.id, scores=self._engine.logprobs(question.speaker, question.texts, cancelled))
            case Speak():
                utterance = Utterance(
                    question.speaker,
                    question.prompt,
                    question.count,
                    question.seed,
                    question.sampling,
                    question.context,
                )
                return Answer(
                    id=question.id, texts=self._engine.speak(utterance, cancelled, partial(self._hear, question))
                )


def _end_at_once(fault: threading.ExceptHookArgs) -> None:
    """An engine's own thread failed: the bot starts another worker, and asks again what is open here."""
    if isinstance(fault.exc_value, Exception):
        sys.stderr.write(f"the engine failed: {type(fault.exc_value).__name__} at {_place(fault.exc_value)}\n")
        sys.stderr.flush()
    os._exit(1)


def _failure(error: VoiceError) -> Failure:
    match error:
        case UnsupportedSpeaker():
            return Failure(kind="unsupported", message=error.message, hint=error.hint)
        case Cancelled():
            return Failure(kind="cancelled", message=error.message, hint=error.hint)
    return Failure(kind="refused", message=error.message, hint=error.hint)


def _place(error: Exception) -> str:
    """File and line where it was raised: a traceback without the values, which may hold a post."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


if __name__ == "__main__":
    main()
