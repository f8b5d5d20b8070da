"""The account on X that Mynah posts to: by its keys or its login, and labelled before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientResponse

from bot.errors import CommandError
from bot.notices import Notices
from bot.posting import etiquette
from bot.posting.etiquette import Profile
from bot.posting.money import Budget
from bot.posting.posting import Posting
from bot.posting.sender import NotSent, Outcome
from bot.posting.x_sender import XSender
from bot.settings import Settings
from bot.x import errors
from bot.x.access import KEYS, login_of, user_keys
from bot.x.client import PUBLIC_URL, XClient
from bot.x.login import Login
from storage import switches
from storage.database import Reader, Store
from storage.errors import MynahError
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
            keys = user_keys(self._settings)
            confirmed = await self._store.run(switches.confirmed, etiquette.CONFIRMATION)
            account_id = (confirmed or "") if keys is None else keys.user_id
            if confirmed is None or not await self._is_confirmed(account_id):
                await self._stop()
            self._sender = XSender(client, account_id, self._budget, user_auth=keys is not None)
            self._posting.register(TARGET, self._sender)
            yield

    async def check(self, ask: Callable[[str], Awaitable[bool]], by: str) -> tuple[Profile, bool]:
        """Look at the account's profile, and ask what X does not show; the profile, and whether posting may begin.

        Raises:
            CommandError: where no account is connected. MynahError: where X cannot be asked, or paid for.
        """
        if isinstance(self._store, Reader):
            raise CommandError("The account belongs to the Mynah that is running.", "Give the command there.")
        client = await self._client()
        if client is None:
            raise CommandError("No account on X is connected.", _HOW)
        async with client:
            profile = await etiquette.look(client, self._budget, user_auth=user_keys(self._settings) is not None)
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
        base_url, keys = self._settings.x.base_url or PUBLIC_URL, user_keys(self._settings)
        if keys is not None:
            return XClient(base_url, user=keys)
        login = login_of(self._settings)
        return LoggedIn(base_url, login) if await login.is_there() else None


class LoggedIn(XClient):
    """Shows the token of whoever logged in, renewed in time. What cannot be asked without one was surely not sent."""

    def __init__(self, base_url: str, login: Login) -> None:
        super().__init__(base_url)
        self._login = login

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> ClientResponse:
        try:
            self._bearer = await self._login.access_token()
        except (errors.NotSent, errors.Unclear, errors.RateLimited) as error:
            raise errors.NotSent(error.message, error.hint) from error
        except MynahError as error:
            raise errors.Refused(401, errors.Problem(), error.message, error.hint) from error
        return await super().request(method, route, params, json, user_auth)


class Unconnected:
    """Stands where no account is: what is for it waits until it is too late, and says why."""

    async def send(self, post: OutboxPost) -> Outcome:
        return NotSent("No account on X is connected.", _HOW)
