"""The voice of llama.cpp: one memory-mapped base, many adapters, batched slots.

A server's adapters are fixed when it starts. A new one starts a second server beside the first, with the adapters
used last, and the first is closed when its last answer is out. The base's pages are shared by both.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bot.voice.adapter_gguf import adapter_gguf
from bot.voice.base import END_OF_TEXT, Cancelled, Speaker, TextScore, UnsupportedSpeaker, Utterance
from bot.voice.drawing import Draw, context_ids, draw_posts, prompt_too_long, text_too_long, tidy_prompt
from bot.voice.gguf_header import read_header
from bot.voice.llama_server import LlamaServer, ServerShape

_BASES_KEPT = 2


@dataclass(slots=True)
class _Host:
    """A server, and the adapters that it was started with, used last at the end."""

    server: LlamaServer
    adapters: OrderedDict[Path, int]
    answering: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Voice:
    """One request's view: a server that stays open as long as the request runs."""

    server: LlamaServer
    adapter: int | None
    end: int
    special_tokens: dict[str, int]


class LlamaCppEngine:
    """An `Engine` on llama.cpp. `adapters` is the most that one base keeps ready."""

    def __init__(self, shape: ServerShape, adapters: int) -> None:
        self._shape = shape
        self._adapters = adapters
        self._hosts: OrderedDict[Path, _Host] = OrderedDict()
        self._hosts_lock = threading.Lock()
        self._start_lock = threading.Lock()
        self._slots = ThreadPoolExecutor(shape.slots, thread_name_prefix="slot")

    def load(self, speaker: Speaker) -> None:
        with self._voice(speaker):
            pass

    def speak(self, utterance: Utterance, cancelled: threading.Event) -> list[str]:
        sampling = utterance.sampling
        limit = min(sampling.max_tokens, self._shape.context_tokens)
        with self._voice(utterance.speaker) as voice:
            prompt = tidy_prompt(utterance.prompt, voice.special_tokens)
            ids = [voice.end, *voice.server.tokenize(prompt)]
            if len(ids) >= limit:
                raise prompt_too_long(len(ids) - 1, limit - 2)
            room = self._shape.context_tokens - limit
            before = context_ids(utterance.context, voice.special_tokens, voice.server.tokenize, voice.end, room)

            def draw_one(seed: int) -> Draw:
                if cancelled.is_set():
                    raise Cancelled("The request was cancelled.")
                completion = voice.server.sample([*before, *ids], limit - len(ids), seed, sampling, voice.adapter)
                return Draw(completion.text, len(ids) + completion.tokens)

            def draw(seeds: Sequence[int]) -> list[Draw]:
                return list(self._slots.map(draw_one, seeds))

            return draw_posts(utterance, prompt, voice.special_tokens, draw, cancelled)

    def logprobs(self, speaker: Speaker, texts: list[str], cancelled: threading.Event) -> list[TextScore]:
        with self._voice(speaker) as voice:

            def score(text: str) -> TextScore:
                ids = voice.server.tokenize(text)
                if len(ids) + 2 > self._shape.context_tokens:
                    raise text_too_long(len(ids), self._shape.context_tokens - 2)
                logprobs = []
                for place, token in enumerate([*ids, voice.end]):
                    if cancelled.is_set():
                        raise Cancelled("The request was cancelled.")
                    logprobs.append(voice.server.logprob([voice.end, *ids[:place]], token, voice.end, voice.adapter))
                return TextScore(sum(logprobs[:-1]), len(ids), logprobs[-1])

            return list(self._slots.map(score, texts))

    def close(self) -> None:
        with self._hosts_lock:
            hosts = list(self._hosts.values())
            self._hosts.clear()
            idle = [host for host in hosts if self._retire(host)]
        for host in idle:
            host.server.close()
        self._slots.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def _voice(self, speaker: Speaker) -> Iterator[_Voice]:
        if speaker.base is None:
            raise UnsupportedSpeaker(f"{speaker.key} has no base that llama.cpp could load.")
        header = read_header(speaker.base)
        if END_OF_TEXT not in header.special_tokens:
            raise UnsupportedSpeaker(f"The base of {speaker.key} has no {END_OF_TEXT} token.")
        adapter = None if speaker.adapter is None else adapter_gguf(speaker.adapter, speaker.base)
        host = self._borrow(speaker.base, adapter)
        try:
            index = None if adapter is None else host.adapters[adapter]
            yield _Voice(host.server, index, header.special_tokens[END_OF_TEXT], header.special_tokens)
        finally:
            self._give_back(host)

    def _borrow(self, base: Path, adapter: Path | None) -> _Host:
        """A host that has the adapter, starting one where none has; it must be given back."""
        host = self._borrow_running(base, adapter)
        if host is not None:
            return host
        with self._start_lock:
            host = self._borrow_running(base, adapter)
            return host if host is not None else self._start(base, adapter)

    def _borrow_running(self, base: Path, adapter: Path | None) -> _Host | None:
        with self._hosts_lock:
            host = self._hosts.get(base)
            if host is None or (adapter is not None and adapter not in host.adapters):
                return None
            self._hosts.move_to_end(base)
            if adapter is not None:
                host.adapters.move_to_end(adapter)
            host.answering += 1
            return host

    def _start(self, base: Path, adapter: Path | None) -> _Host:
        with self._hosts_lock:
            old = self._hosts.get(base)
            kept = list(old.adapters) if old else []
        if adapter is not None:
            kept = [path for path in kept if path.is_file()][-(self._adapters - 1) :] if self._adapters > 1 else []
            kept.append(adapter)
        host = _Host(LlamaServer(base, kept, self._shape), OrderedDict((path, i) for i, path in enumerate(kept)))
        host.answering = 1
        with self._hosts_lock:
            self._hosts[base] = host
            self._hosts.move_to_end(base)
            replaced = [old] if old else []
            while len(self._hosts) > _BASES_KEPT:
                replaced.append(self._hosts.popitem(last=False)[1])
            idle = [other for other in replaced if self._retire(other)]
        for other in idle:
            other.server.close()
        return host

    def _retire(self, host: _Host) -> bool:
        """Take no more requests for a host; True where it can be closed now. Call with the hosts' lock held."""
        host.retired = True
        return host.answering == 0

    def _give_back(self, host: _Host) -> None:
        with self._hosts_lock:
            host.answering -= 1
            last = host.retired and host.answering == 0
        if last:
            host.server.close()
