"""Drafts: a person approves, edits, has another written, or rejects; and says which personas' posts they want to see.

An approved post leaves when it is due, or at once where that is past. What is chosen teaches the reranker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlite_utils import Database

from bot.errors import CommandError, GuardError, only_the_running
from bot.guard import Guard, Guarded, Rejected
from bot.guard.features import features
from bot.guard.reranker import Reranker, Shown
from bot.ordering import find_person
from bot.posting.outbox import Entry, find
from bot.settings import Settings
from storage import choices, drafts, outbox, personas
from storage.database import Reader, Store
from storage.drafts import Approval, Mode
from storage.errors import MynahError
from storage.outbox import OutboxPost
from trainer.report import RerankReport

log = logging.getLogger(__name__)

_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Moded:
    """A persona, and who looks at its posts."""

    handle: str
    approval: Approval
    approved: int


class Drafts:
    """`changed` is called when something may be due."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        guard: Guard,
        guarded: Guarded,
        reranker: Reranker,
        changed: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._store = store
        self._guard = guard
        self._guarded = guarded
        self._reranker = reranker
        self._changed = changed
        self._now = now

    async def waiting(self, handle: str | None = None) -> list[Entry]:
        """Those that nobody decided on, longest due first. Raises NotFound."""
        return await self._store.run(_waiting, handle)

    async def approve(self, id: str, by: str) -> Entry:
        """Have a draft published when it is due. Raises CommandError, NotFound."""
        return await self._decide(id, by, chosen=True)

    async def approve_all(self, by: str, handle: str | None = None) -> list[Entry]:
        """The same for every draft, or a persona's. Raises NotFound."""
        return [await self.approve(entry.post.id, by) for entry in await self.waiting(handle)]

    async def edit(self, id: str, text: str, by: str) -> Entry:
        """Approve a draft in a person's own words; they too are looked at by the guard.

        Raises:
            CommandError, GuardError, NotFound: with nothing changed.
        """
        entry = await self._draft(id)
        text = " ".join(text.split())
        persona = await self._store.run(personas.get, entry.post.persona_id)
        verdict = await self._guard.check(text, persona, target=entry.post.target, ignoring=entry.post.text)
        if not verdict.ok:
            raise GuardError(f"That cannot be posted. {verdict.sentence}", "Write it otherwise.")
        return await self._decide(id, by, chosen=True, text=text)

    async def reroll(self, id: str, by: str) -> Entry:
        """Have another text written for a draft. Raises CommandError, GuardError, NotFound, VoiceError."""
        entry = await self._draft(id)
        persona = await self._store.run(personas.get, entry.post.persona_id)
        spoken = await self._guarded.speak(persona, entry.post.prompt, target=entry.post.target)
        if isinstance(spoken, Rejected):
            raise GuardError(f"No other text came out that may leave. {spoken.reason}", "Try again, or edit this one.")
        await self._remember(entry.post, by, chosen=False, reason="another was asked for")
        post = await self._store.run(drafts.rewrite, entry.post.id, spoken.text, spoken.clone_id, self._now())
        return Entry(post, entry.handle)

    async def reject(self, id: str, reason: str, by: str) -> Entry:
        """Have a draft never published. Raises CommandError, NotFound."""
        return await self._decide(id, by, chosen=False, reason=" ".join(reason.split())[:_LONGEST_REASON])

    async def mode(self, handle: str) -> Moded:
        """Who looks at a persona's posts. Raises NotFound."""
        return await self._store.run(_mode, handle, self._default())

    async def set_mode(self, handle: str, mode: Mode, first: int = 0) -> Moded:
        """Change that. Raises CommandError, NotFound."""
        if mode == "review-first-n" and not 1 <= first <= 10_000:
            raise CommandError("How many posts shall be approved first?", "/persona mode @handle review-first-10")
        self._refuse_reader("/persona mode …")
        approval = Approval(mode, first if mode == "review-first-n" else 0, self._settings.guard.draft_hours)
        return await self._store.run(_set_mode, handle, approval, self._now())

    async def reranker(self) -> Shown:
        """What was learned from choices."""
        return await self._reranker.show()

    async def learn_reranker(self) -> RerankReport:
        """Learn from all choices. Raises CommandError, TrainerFailed."""
        self._refuse_reader("/reranker learn")
        return await self._reranker.learn()

    async def _decide(self, id: str, by: str, *, chosen: bool, text: str | None = None, reason: str = "") -> Entry:
        entry = await self._draft(id)
        await self._remember(entry.post, by, chosen=chosen, reason=reason, text=text)
        detail = (
            ("approved" if text is None else "edited and approved") if chosen else f"rejected: {reason}".rstrip(": ")
        )
        post = await self._store.run(
            outbox.move, entry.post.id, "due" if chosen else "rejected", detail, self._now(), by=by, text=text
        )
        self._changed()
        try:
            await self._reranker.learn_if_due()
        except MynahError as error:
            log.warning("The reranker did not learn: %s", error)
        return Entry(post, entry.handle)

    async def _draft(self, id: str) -> Entry:
        self._refuse_reader("/drafts …")
        entry = await self._store.run(_entry, id)
        if entry.post.state != "draft":
            raise CommandError(f"The post is {entry.post.state}: it was decided on already.", "See /drafts.")
        if entry.post.expires_at is not None and entry.post.expires_at <= self._now():
            raise CommandError("The draft has expired.", "Drafts are kept for guard.draft_hours.")
        return entry

    async def _remember(
        self, post: OutboxPost, by: str, *, chosen: bool, reason: str = "", text: str | None = None
    ) -> None:
        """What the choice teaches; of a draft that was edited, that its first text was not what was wanted."""
        persona = await self._store.run(personas.get, post.persona_id)
        profile = await self._guard.profile(persona)
        wanted = [(post.text, chosen)] if text is None or text == post.text else [(post.text, False), (text, True)]
        for written, taken in wanted:
            figures = features(written, profile)
            await self._store.run(choices.add, persona.id, by, taken, figures, reason, self._now())

    def _default(self) -> Approval:
        return default_approval(self._settings)

    def _refuse_reader(self, command: str) -> None:
        if isinstance(self._store, Reader):
            raise only_the_running(command)


def default_approval(settings: Settings) -> Approval:
    """For personas of whom nothing was said."""
    return Approval(settings.guard.approval, 0, settings.guard.draft_hours)


def first_state(
    db: Database, persona_id: str, default: Approval, now: datetime
) -> tuple[Literal["draft", "due"], datetime | None]:
    """What a persona's next post begins as, and when it is given up."""
    approval = drafts.approval(db, persona_id) or default
    state = drafts.first_state(db, persona_id, approval)
    return state, now + timedelta(hours=approval.expires_after_h) if state == "draft" else None


def _entry(db: Database, id: str) -> Entry:
    post = find(db, id)
    return Entry(post, personas.get(db, post.persona_id).handle)


def _waiting(db: Database, handle: str | None) -> list[Entry]:
    handles = {persona.id: persona.handle for persona in personas.all(db)}
    found = drafts.waiting(db, None if handle is None else find_person(db, handle).id)
    return [Entry(post, handles[post.persona_id]) for post in found]


def _mode(db: Database, handle: str, default: Approval) -> Moded:
    persona = find_person(db, handle)
    approval = drafts.approval(db, persona.id) or default
    return Moded(persona.handle, approval, drafts.approved(db, persona.id))


def _set_mode(db: Database, handle: str, approval: Approval, now: datetime) -> Moded:
    with db.atomic():
        drafts.set_approval(db, find_person(db, handle).id, approval, now)
        return _mode(db, handle, approval)
