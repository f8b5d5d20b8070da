"""The voice of llama.cpp: one memory-mapped base, and as many adapters on it as are kept loaded.

An adapter is read when its persona is first asked, in the thread of that request, while the others go on speaking;
the one silent for longest makes room. One that is in use never does: then a request waits for another's end.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bot.voice.adapter_gguf import adapter_gguf
from bot.voice.base import END_OF_TEXT, Cancelled, Heard, Speaker, TextScore, UnsupportedSpeaker, Utterance, ignore
from bot.voice.batching import Asker
from bot.voice.cores import Cores
from bot.voice.drawing import Draw, context_ids, draw_posts, prompt_too_long, text_too_long, tidy_prompt
from bot.voice.gguf_header import read_header
from bot.voice.llama_base import LlamaBase

_BASES_KEPT = 2
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Shape:
    """How much one base may do at once. `threads` 0 takes the physical cores; `context_tokens` is a slot's."""

    slots: int
    context_tokens: int
    threads: int


@dataclass(slots=True)
class _Adapter:
    handle: int
    users: int = 0


@dataclass(slots=True)
class _Host:
    """A base that speaks, and its adapters, used last at the end."""

    base: LlamaBase
    cores: Cores
    adapters: OrderedDict[Path, _Adapter] = field(default_factory=OrderedDict)
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Voice:
    """One request's view: a base and an adapter that stay there as long as the request runs."""

    base: LlamaBase
    cores: Cores
    asker: Asker
    end: int
    special_tokens: dict[str, int]


class LlamaCppEngine:
    """An `Engine` on llama.cpp. `adapters` is the most that one base keeps loaded."""

    def __init__(self, shape: Shape, adapters: int) -> None:
        self._shape = shape
        self._adapters = adapters
        self._hosts: OrderedDict[Path, _Host] = OrderedDict()
        self._changes = threading.Condition()
        self._loading = threading.Lock()

    def load(self, speaker: Speaker) -> None:
        with self._voice(speaker, threading.Event()):
            pass

    def speak(self, utterance: Utterance, cancelled: threading.Event, heard: Heard = ignore) -> list[str]:
        sampling = utterance.sampling
        limit = min(sampling.max_tokens, self._shape.context_tokens)
        with self._voice(utterance.speaker, cancelled) as voice:
            prompt = tidy_prompt(utterance.prompt, voice.special_tokens)
            ids = [voice.end, *voice.base.tokenize(prompt)]
            if len(ids) >= limit:
                raise prompt_too_long(prompt, len(ids) - 1, limit - 2)
            room = self._shape.context_tokens - limit
            before = context_ids(utterance.context, voice.special_tokens, voice.base.tokenize, voice.end, room)

            def draw(seeds: Sequence[int]) -> Iterator[Draw]:
                written = voice.cores.write([*before, *ids], limit - len(ids), seeds, sampling, voice.asker)
                return (Draw(one.text, len(ids) + one.tokens) for one in written)

            return draw_posts(utterance, prompt, voice.special_tokens, draw, cancelled, heard)

    def logprobs(self, speaker: Speaker, texts: list[str], cancelled: threading.Event) -> list[TextScore]:
        with self._voice(speaker, cancelled) as voice:
            ids = [[voice.end, *voice.base.tokenize(text), voice.end] for text in texts]
            longest = max(map(len, ids), default=0)
            if longest > self._shape.context_tokens:
                raise text_too_long(longest - 2, self._shape.context_tokens - 2)
            return voice.cores.score(ids, voice.asker)

    def close(self) -> None:
        with self._changes:
            hosts = list(self._hosts.values())
            self._hosts.clear()
        for host in hosts:
            host.cores.close()

    @contextlib.contextmanager
    def _voice(self, speaker: Speaker, cancelled: threading.Event) -> Iterator[_Voice]:
        if speaker.base is None:
            raise UnsupportedSpeaker(f"{speaker.key} has no base that llama.cpp could load.")
        header = read_header(speaker.base)
        if END_OF_TEXT not in header.special_tokens:
            raise UnsupportedSpeaker(f"The base of {speaker.key} has no {END_OF_TEXT} token.")
        file = None if speaker.adapter is None else adapter_gguf(speaker.adapter, speaker.base)
        with self._host(speaker.base) as host, self._adapter(host, file, cancelled) as adapter:
            asker = Asker(adapter, cancelled)
            yield _Voice(host.base, host.cores, asker, header.special_tokens[END_OF_TEXT], header.special_tokens)

    @contextlib.contextmanager
    def _host(self, file: Path) -> Iterator[_Host]:
        """A base that stays open meanwhile; those that nobody uses make room."""
        with self._loading:
            host = self._hosts.get(file)
            if host is None:
                base = LlamaBase(file)
                cores = self._shape.threads or psutil.cpu_count(logical=False) or 1
                host = _Host(base, Cores(base, cores, self._shape.slots, self._shape.context_tokens))
            with self._changes:
                self._hosts[file] = host
                self._hosts.move_to_end(file)
                host.users += 1
                idle = [path for path, other in self._hosts.items() if other.users == 0]
                surplus = [self._hosts.pop(path) for path in idle[: max(len(self._hosts) - _BASES_KEPT, 0)]]
            for other in surplus:
                other.cores.close()
        try:
            yield host
        finally:
            with self._changes:
                host.users -= 1

    @contextlib.contextmanager
    def _adapter(self, host: _Host, file: Path | None, cancelled: threading.Event) -> Iterator[int | None]:
        """An adapter that stays loaded meanwhile. Raises Cancelled where the wait for room was in vain."""
        if file is None:
            yield None
            return
        with self._changes:
            while file not in host.adapters and not self._has_room(host):
                if cancelled.is_set():
                    raise Cancelled("The request was cancelled.")
                self._changes.wait(_LOOK_AGAIN_S)
            adapter = host.adapters.get(file)
            if adapter is None:
                # Some ten milliseconds, in which nobody else comes or goes; who speaks goes on.
                adapter = host.adapters[file] = _Adapter(host.base.load_adapter(file))
            host.adapters.move_to_end(file)
            adapter.users += 1
        try:
            yield adapter.handle
        finally:
            with self._changes:
                adapter.users -= 1
                self._changes.notify_all()

    def _has_room(self, host: _Host) -> bool:
        """Whether another adapter may be loaded, now that one which nobody uses was dropped where that was needed."""
        if len(host.adapters) >= self._adapters:
            idle = next((file for file, adapter in host.adapters.items() if adapter.users == 0), None)
            if idle is None:
                return False
            host.cores.free_adapter(host.adapters.pop(idle).handle)
        return True
