"""The account on X that Mynah posts to: connected where its keys are set, and labelled before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bot.errors import CommandError
from bot.notices import Notices
from bot.posting import etiquette
from bot.posting.etiquette import Profile
from bot.posting.money import Budget
from bot.posting.posting import Posting
from bot.posting.sender import NotSent, Outcome
from bot.posting.x_sender import XSender
from bot.settings import Settings
from bot.x.client import PUBLIC_URL, UserKeys, XClient
from storage import switches
from storage.database import Reader, Store
from storage.outbox import OutboxPost

TARGET = "x"
_KEYS = "X_CONSUMER_KEY, X_CONSUMER_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET"
_UNCONFIRMED = "Nobody has confirmed that the account is labelled as automated."
_CHECK = "/outbox check looks at the account and asks."


class XAccount:
    def __init__(self, settings: Settings, store: Store, notices: Notices, posting: Posting, budget: Budget) -> None:
        self._settings = settings
        self._store = store
        self._notices = notices
        self._posting = posting
        self._budget = budget

    @property
    def keys(self) -> UserKeys | None:
        """None where one of them is not set."""
        tokens = self._settings.tokens
        key, secret = tokens.x_consumer_key, tokens.x_consumer_secret
        token, token_secret = tokens.x_access_token, tokens.x_access_token_secret
        if key is None or secret is None or token is None or token_secret is None:
            return None
        return UserKeys(key, secret, token, token_secret)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Have what is for X sent to the account, as long as this lasts; to be entered before the posting begins."""
        keys = self.keys
        if keys is None:
            self._posting.register(TARGET, Unconnected())
            yield
            return
        async with self._client(keys) as client:
            await self._stop_unless_confirmed(keys.user_id)
            self._posting.register(TARGET, XSender(client, keys.user_id, self._budget))
            yield

    async def check(self, ask: Callable[[str], Awaitable[bool]], by: str) -> tuple[Profile, bool]:
        """Look at the account's profile, and ask what X does not show; the profile, and whether posting may begin.

        Raises:
            CommandError: where no account is connected. MynahError: where X cannot be asked, or paid for.
        """
        if isinstance(self._store, Reader):
            raise CommandError("The account belongs to the Mynah that is running.", "Give the command there.")
        keys = self.keys
        if keys is None:
            raise CommandError("No account on X is connected.", f"Set {_KEYS}.")
        async with self._client(keys) as client:
            profile = await etiquette.look(client, self._budget, user_auth=True)
        question = " ".join([*profile.lacks, "Is it right all the same?"]) if profile.lacks else ""
        is_right = (not question or await ask(question)) and await ask(etiquette.LABEL)
        if is_right:
            await self._store.run(switches.confirm, etiquette.confirmation(profile.id), by, self._posting.now())
            halt = await self._store.run(switches.get, switches.halt(TARGET))
            if halt is not None and halt.reason == _UNCONFIRMED:
                await self._store.run(switches.clear, halt.name)
                self._posting.wake()
        return profile, is_right

    async def _stop_unless_confirmed(self, account_id: str) -> None:
        if await self._store.run(switches.is_confirmed, etiquette.confirmation(account_id)):
            return
        now = self._posting.now()
        if await self._store.run(switches.set, switches.halt(TARGET), _UNCONFIRMED, "posting", now):
            await self._notices.tell("halt", f"Nothing is posted to X yet. {_UNCONFIRMED}", _CHECK, now)

    def _client(self, keys: UserKeys) -> XClient:
        return XClient(self._settings.x.base_url or PUBLIC_URL, user=keys)


class Unconnected:
    """Stands where no account is: what is for it waits until it is too late, and says why."""

    async def send(self, post: OutboxPost) -> Outcome:
        return NotSent("No account on X is connected.", f"Set {_KEYS}.")
