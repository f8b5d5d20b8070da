"""What Tab offers at the prompt: commands, then handles, then options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from bot.gateways.forms import FORMS
from trainer.recipes import RECIPES

Words = Mapping[str, "Words"]
"""What may be typed next, and after it."""


_MODES: Words = {"auto": {}, "review": {}, "review-first-10": {}}


class CommandCompleter(Completer):
    """Goes by whole words: to prompt_toolkit's own completers the `/` and `@` in front are words of their own."""

    def __init__(self, handles: Sequence[str]) -> None:
        self._words = _words([f"@{handle}" for handle in handles])

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        *before, begun = document.text_before_cursor.lstrip().split(" ")
        offered = self._words
        for word in before:
            offered = offered.get(word, offered if "=" in word else {})
        for word in offered:
            if word.startswith(begun):
                yield Completion(word, start_position=-len(begun))


def _words(handles: Sequence[str]) -> Words:
    clone: Words = {"file=": {}, **{f"recipe={name}": {} for name in RECIPES}, "heldout=yes": {}, "seed=": {}}
    say: Words = {"prompt=": {}, "count=": {}, "seed=": {}}
    no_more: Words = {handle: {} for handle in handles}
    blend: Words = {**no_more, "weights": {}, "as=": {}, "recipe=mynah": {}, "newest=": {}}
    return {
        "/blend": {handle: blend for handle in handles},
        "/refresh": {handle: {"file=": {}, "seed=": {}} for handle in handles},
        "/versions": no_more,
        "/rollback": {handle: {"version=": {}} for handle in handles},
        "/evaluate": {handle: {"samples=": {}, "seed=": {}} for handle in handles},
        "/card": no_more,
        "/push": {handle: {"repo=": {}, "public=yes": {}} for handle in handles},
        "/adopt": {},
        "/clone": {handle: clone for handle in handles},
        "/say": {handle: say for handle in handles},
        "/export": no_more,
        "/schedule": {
            "add": {handle: {'"every': {}, "refresh": {}} for handle in handles},
            "list": no_more,
            **{verb: {} for verb in ("preview", "history", "pause", "resume", "remove")},
        },
        "/train": {"status": {}, "watch": {}, "cancel": no_more},
        "/forget": no_more,
        "/optout": no_more,
        "/privacy": {},
        "/consents": {"withdraw": no_more},
        "/outbox": {word: {} for word in ("all", "check", "show", "sent", "resend", "drop", "look")},
        "/admin": {word: {} for word in ("pause", "resume", "stats", "notices")},
        "/models": {},
        "/drafts": {"approve": {"all": no_more}, "edit": {}, "reroll": {}, "reject": {}, **no_more},
        "/persona": {"mode": {handle: _MODES for handle in handles}},
        "/reranker": {"show": {}, "learn": {}},
        "/help": {name: {} for name in FORMS},
        "/quit": {},
    }
