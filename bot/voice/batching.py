"""Who is decoded next: many requests on one base, token by token, in one thread.

A turn decodes the sequences of one persona, since llama.cpp applies adapters to a whole batch; the persona whose last
turn is longest ago comes next, so that nobody waits for another's end. A new request enters at the next turn, a
cancelled one leaves at it. The samples of a request read their prompt once. Where slots are short, the first sample of
a request goes before the second of any other, which gives its slot up and goes on from where it was.
"""

from __future__ import annotations

import codecs
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bot.errors import VoiceError
from bot.voice.base import Cancelled, TextScore
from bot.voice.llama_base import ROWS, LlamaBase, Row
from bot.voice.pace import Pace
from trainer.recipes import Sampling

T = TypeVar("T")

_NO_SLOT = -1
_PROMPT_ROWS = 32
"""Most tokens that one sequence reads in a turn: a long prompt must not keep the others from their next word."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What was written, and how many tokens it took, the closing one not counted."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf something is decoded, and whether they still wait."""

    adapter: int | None
    cancelled: threading.Event


@dataclass(slots=True, eq=False)
class _Sequence:
    """One sample, or one text to score. What it has read lies in its slot; without a slot it has read nothing."""

    job: _Job[Any]
    place: int
    """Its number in the job."""
    ids: list[int]
    prompt: int
    """How many of the ids were given."""
    room: int
    """How many may be written."""
    sampler: int | None = None
    slot: int = _NO_SLOT
    read: int = 0
    written: bytearray = field(default_factory=bytearray)
    logprobs: list[float] = field(default_factory=list)
    answer: Future[Any] = field(default_factory=Future)

    @property
    def urgency(self) -> int:
        """The smaller, the sooner: the second sample of a request stands in line as if it were the next request."""
        return self.job.number + self.place

    @property
    def ahead(self) -> int:
        """How many tokens it still has to read; of a scored text, nothing comes after the last."""
        return len(self.ids) - self.read - (self.sampler is None)


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    number: int
    asker: Asker
    result: Callable[[_Sequence], T]
    sequences: list[_Sequence] = field(default_factory=list)


class Batcher:
    """A thread that decodes, each turn on as many cores as `cores` says. Its methods may be called from any other."""

    def __init__(self, base: LlamaBase, slots: int, context_tokens: int, cores: Callable[[], int] = lambda: 1) -> None:
        self._base = base
        self._pace = Pace(cores)
        self._context = base.context(slots, context_tokens)
        self._free = list(range(slots))
        self._numbers = itertools.count(1)
        self._arriving: list[_Job[Any]] = []
        self._leaving: list[tuple[int, Callable[[], None]]] = []
        self._waiting: list[_Sequence] = []
        self._active: list[_Sequence] = []
        self._turns = itertools.count(1)
        self._last_turn: dict[int | None, int] = {}
        self._closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def load(self) -> int:
        """How many sequences are here."""
        return sum(len(job.sequences) for job in self._arriving) + len(self._waiting) + len(self._active)

    def write(
        self, ids: Sequence[int], room: int, seeds: Sequence[int], sampling: Sampling, asker: Asker
    ) -> list[Future[Completion]]:
        """One sample a seed that goes on from `ids`, at most `room` tokens, to the end of the post or of its line."""
        job = _Job[Completion](next(self._numbers), asker, _completion)
        job.sequences = [
            _Sequence(job, place, list(ids), len(ids), room, self._base.sampler(sampling, seed))
            for place, seed in enumerate(seeds)
        ]
        return self._taken(job)

    def score(self, texts: Sequence[Sequence[int]], asker: Asker) -> list[Future[TextScore]]:
        """How likely each text is, given as ids from `<|endoftext|>` to `<|endoftext|>`."""
        job = _Job[TextScore](next(self._numbers), asker, _score)
        job.sequences = [_Sequence(job, place, list(ids), len(ids), 0) for place, ids in enumerate(texts)]
        return self._taken(job)

    def drop(self, adapter: int, dropped: Callable[[], None]) -> None:
        """Forget an adapter at the next turn, and tell; no request may use it any more."""
        with self._news:
            self._leaving.append((adapter, dropped))
            self._news.notify()

    def close(self) -> None:
        """Refuse what is asked and what will be, free the base, and wait for that."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()

    def _taken(self, job: _Job[T]) -> list[Future[T]]:
        with self._news:
            if self._closing:
                _refuse(job, _closing())
            else:
                self._arriving.append(job)
                self._news.notify()
        return [sequence.answer for sequence in job.sequences]

    def _run(self) -> None:
        while self._take_news():
            for job in {one.job for one in [*self._active, *self._waiting]}:
                if job.asker.cancelled.is_set():
                    self._end(job, Cancelled("The request was cancelled."))
            self._admit()
            if self._active:
                adapter = min(
                    {one.job.asker.adapter for one in self._active}, key=lambda one: self._last_turn.get(one, 0)
                )
                self._last_turn[adapter] = next(self._turns)
                self._decode(adapter, [one for one in self._active if one.job.asker.adapter == adapter])
        for job in {*self._arriving, *(one.job for one in [*self._active, *self._waiting])}:
            self._end(job, _closing())
        self._context.close()

    def _take_news(self) -> bool:
        """Wait for something to do; False where that is to close."""
        with self._news:
            self._news.wait_for(
                lambda: self._closing or self._arriving or self._leaving or self._waiting or self._active
            )
            if self._closing:
                return False
            arrived, self._arriving = self._arriving, []
            leaving, self._leaving = self._leaving, []
        for adapter, dropped in leaving:
            self._last_turn.pop(adapter, None)
            self._context.drop(adapter)
            dropped()
        self._waiting += [sequence for job in arrived for sequence in job.sequences]
        return True

    def _admit(self) -> None:
        """Slots to those in front of the line, if need be from those who stand behind them."""
        if not self._active:
            self._context.forget_all()
        self._waiting.sort(key=lambda one: one.urgency)
        while self._waiting:
            if not self._free:
                last = max(self._active, key=lambda one: one.urgency)
                if last.urgency <= self._waiting[0].urgency:
                    return
                self._leave_slot(last)
                self._waiting.append(last)
            sequence = self._waiting.pop(0)
            sequence.slot = self._free.pop()
            self._active.append(sequence)

    def _decode(self, adapter: int | None, sequences: list[_Sequence]) -> None:
        """One turn: whoever writes gets one token, whoever reads some more; those with least to read come first."""
        rows: list[Row] = []
        read: list[tuple[_Sequence, int]] = []
        outputs = 0
        for sequence in sorted(sequences, key=lambda one: one.ahead):
            wants_all = sequence.sampler is None
            most = min(_PROMPT_ROWS, ROWS - len(rows), self._context.outputs - outputs if wants_all else ROWS)
            count = min(self._begun(sequence), most)
            at_end = sequence.ahead == count
            if count == 0 or (at_end and outputs == self._context.outputs):
                continue
            read.append((sequence, len(rows)))
            for place in range(sequence.read, sequence.read + count):
                wants_logits = wants_all or (at_end and place == len(sequence.ids) - 1)
                outputs += wants_logits
                rows.append(Row(sequence.ids[place], place, sequence.slot, wants_logits))
        try:
            with self._pace.turn() as cores_now:
                self._context.decode(adapter, rows, cores_now)
        except VoiceError as error:
            for job in {sequence.job for sequence in sequences}:
                self._end(job, error)
            return
        for place, (sequence, first) in enumerate(read):
            last = (read[place + 1][1] if place + 1 < len(read) else len(rows)) - 1
            sequence.read += last - first + 1  # only now can others share it
            self._take_logits(sequence, first, last)

    def _begun(self, sequence: _Sequence) -> int:
        """How much a sequence may read now; the prompt of a request is read by one of its samples, for all of them."""
        shared = sequence.prompt - 1
        if sequence.read == 0 and shared > 0 and sequence.sampler is not None:
            first = max((one for one in sequence.job.sequences if one.slot != _NO_SLOT), key=lambda one: one.read)
            if first.read >= shared:
                self._context.share(first.slot, sequence.slot, shared)
                sequence.read = shared
            elif first is not sequence:
                return 0
        return sequence.ahead

    def _take_logits(self, sequence: _Sequence, first: int, last: int) -> None:
        """What rows `first` to `last` of a decode say of a sequence that has read them."""
        if sequence.sampler is None:
            begin = sequence.read - (last - first)
            sequence.logprobs += [
                self._context.logprob(sequence.ids[begin + row - first], row) for row in range(first, last + 1)
            ]
            if sequence.ahead == 0:
                self._finish(sequence)
        elif sequence.ahead == 0:
            token = self._context.sample(sequence.sampler, last)
            piece, newline, _ = self._base.piece(token).partition(b"\n")
            ended = self._base.ends(token)
            if not ended:
                sequence.written += piece
            if not (ended or newline):
                sequence.ids.append(token)
            if ended or newline or len(sequence.ids) - sequence.prompt >= sequence.room:
                self._finish(sequence)

    def _finish(self, sequence: _Sequence) -> None:
        self._leave_slot(sequence)
        self._free_sampler(sequence)
        sequence.answer.set_result(sequence.job.result(sequence))

    def _end(self, job: _Job[Any], error: VoiceError) -> None:
        """Answer what is open of a request with an error, and let go of all that is its own."""
        for sequence in job.sequences:
            if sequence.slot != _NO_SLOT:
                self._leave_slot(sequence)
            self._free_sampler(sequence)
        self._waiting = [sequence for sequence in self._waiting if sequence.job is not job]
        _refuse(job, error)

    def _leave_slot(self, sequence: _Sequence) -> None:
        self._context.forget(sequence.slot)
        self._free.append(sequence.slot)
        self._active.remove(sequence)
        sequence.slot, sequence.read = _NO_SLOT, 0

    def _free_sampler(self, sequence: _Sequence) -> None:
        if sequence.sampler is not None:
            self._base.free_sampler(sequence.sampler)
            sequence.sampler = None


def _refuse(job: _Job[Any], error: VoiceError) -> None:
    for sequence in job.sequences:
        if not sequence.answer.done():
            sequence.answer.set_exception(error)


def _completion(sequence: _Sequence) -> Completion:
    """As text; a character that was not written to its end is left out."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(sequence.written))
    return Completion(text, len(sequence.ids) - sequence.prompt)


def _score(sequence: _Sequence) -> TextScore:
    return TextScore(sum(sequence.logprobs[:-1]), len(sequence.ids) - 2, sequence.logprobs[-1])


def _closing() -> VoiceError:
    return VoiceError("The voice is closing.", "Try again after a restart.")
