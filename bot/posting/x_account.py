"""The account on X that Mynah posts to: by its keys or its login, and labelled before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bot.errors import CommandError, only_the_running
from bot.notices import Notices
from bot.posting import etiquette
from bot.posting.etiquette import Profile
from bot.posting.money import Budget
from bot.posting.posting import Posting
from bot.posting.sender import NotSent, Outcome
from bot.posting.x_sender import XSender
from bot.settings import Settings
from bot.x.access import KEYS, account_access, base_url, own_account
from bot.x.client import XClient
from storage import switches
from storage.database import Reader, Store
from storage.outbox import OutboxPost

TARGET = "x"
_UNCONFIRMED = "Nobody has confirmed that the account is labelled as automated."
_CHECK = "/outbox check looks at the account and asks."
_HOW = f"Set {KEYS}, or log in by `mynah x login`; then start Mynah anew."


class XAccount:
    def __init__(self, settings: Settings, store: Store, notices: Notices, posting: Posting, budget: Budget) -> None:
        self._settings = settings
        self._store = store
        self._notices = notices
        self._posting = posting
        self._budget = budget
        self._sender: XSender | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Have what is for X sent to the account, as long as this lasts; to be entered before the posting begins."""
        client = await self._client()
        if client is None:
            self._posting.register(TARGET, Unconnected())
            yield
            return
        async with client:
            confirmed = await self._store.run(switches.confirmed, etiquette.CONFIRMATION)
            account_id = await own_account(self._settings) or confirmed or ""
            if confirmed is None or not await self._is_confirmed(account_id):
                await self._stop()
            self._sender = XSender(client, account_id, self._budget, user_auth=client.reads_as_user)
            self._posting.register(TARGET, self._sender)
            yield

    @property
    def sender(self) -> XSender | None:
        """What posts as the account; None where there is none."""
        return self._sender

    async def check(self, ask: Callable[[str], Awaitable[bool]], by: str) -> tuple[Profile, bool]:
        """Look at the account's profile, and ask what X does not show; the profile, and whether posting may begin.

        Raises:
            CommandError: where no account is connected. MynahError: where X cannot be asked, or paid for.
        """
        if isinstance(self._store, Reader):
            raise only_the_running("/outbox check")
        client = await self._client()
        if client is None:
            raise CommandError("No account on X is connected.", _HOW)
        async with client:
            profile = await etiquette.look(client, self._budget, user_auth=client.reads_as_user)
        question = " ".join([*profile.lacks, "Is it right all the same?"]) if profile.lacks else ""
        is_right = (not question or await ask(question)) and await ask(etiquette.LABEL)
        if is_right:
            await self._confirm(profile, by)
        return profile, is_right

    async def _confirm(self, profile: Profile, by: str) -> None:
        await self._store.run(switches.confirm, etiquette.CONFIRMATION + profile.id, by, self._posting.now())
        if self._sender is not None:
            self._sender.account_id = profile.id
        halt = await self._store.run(switches.get, switches.halt(TARGET))
        if halt is not None and halt.reason == _UNCONFIRMED:
            await self._store.run(switches.clear, halt.name)
            self._posting.wake()

    async def _is_confirmed(self, account_id: str) -> bool:
        return await self._store.run(switches.is_confirmed, etiquette.CONFIRMATION + account_id)

    async def _stop(self) -> None:
        now = self._posting.now()
        if await self._store.run(switches.set, switches.halt(TARGET), _UNCONFIRMED, "posting", now):
            await self._notices.tell("halt", f"Nothing is posted to X yet. {_UNCONFIRMED}", _CHECK, now)

    async def _client(self) -> XClient | None:
        """One that asks as the account, to be entered; None where there is no account."""
        access = await account_access(self._settings)
        if access is None:
            return None
        return XClient(base_url(self._settings), bearer=access.bearer, user=access.user)


class Unconnected:
    """Stands where no account is: what is for it waits until it is too late, and says why."""

    async def send(self, post: OutboxPost) -> Outcome:
        return NotSent("No account on X is connected.", _HOW)
