"""How this Mynah is connected to X: logging an account in, and asking X who is let in."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from bot.data_folder import DataFolder
from bot.errors import CommandError
from bot.settings import Settings
from bot.x import access
from bot.x.answers import UserAnswer, WireUser, read_answer
from bot.x.budget import Budget
from bot.x.errors import Unreadable
from bot.x.login import Login, Request
from bot.x.paying import PayingClient
from storage.database import Store
from storage.errors import MynahError

_BEGUN = "x-login.json"
_ANYBODY = "XDevelopers"


@dataclass(frozen=True, slots=True)
class Door:
    """One way in."""

    name: str
    is_set: bool
    account: str = ""
    """The handle that X knows it by, where X was asked."""
    problem: str = ""


class X:
    """What `/x` does."""

    def __init__(self, settings: Settings, store: Store, budget: Budget) -> None:
        self._settings = settings
        self._store = store
        self._budget = budget
        self._begun = DataFolder(settings.data_dir).root / _BEGUN

    async def begin_login(self) -> Request:
        """A login, kept until it is finished. Raises CommandError where the app's id is not set."""
        request = access.login_of(self._settings).begin()
        await asyncio.to_thread(_write_privately, self._begun, json.dumps(asdict(request)))
        return request

    @asynccontextmanager
    async def awaiting_browser(self, request: Request) -> AsyncIterator[asyncio.Future[str]]:
        """Listen on this machine for the browser that X sends back; the future is the handle that logged in.

        Raises CommandError where the port is taken.
        """
        logged_in: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def back(heard: web.Request) -> web.Response:
            try:
                handle = await self.finish_login(str(heard.url), request)
            except MynahError as error:
                return web.Response(text=str(error), status=400)
            if not logged_in.done():
                logged_in.set_result(handle)
            return web.Response(text=f"@{handle} is logged in. You may close this page.")

        app = web.Application()
        app.router.add_get("/callback", back)
        runner = web.AppRunner(app, access_log=None)  # it would log the code
        await runner.setup()
        try:
            await _listen(runner, self._settings.x.login_port)
            yield logged_in
        finally:
            await runner.cleanup()

    async def finish_login(self, address: str, request: Request | None = None) -> str:
        """Log in by the address to which X sent the browser; the handle of the account.

        Raises CommandError for an address of another login, XError where X refuses.
        """
        if request is None:
            request = await asyncio.to_thread(_read_begun, self._begun)
        login = access.login_of(self._settings)
        await login.finish(request, request.code_in(address))
        await asyncio.to_thread(self._begun.unlink, missing_ok=True)
        client = PayingClient(access.base_url(self._settings), self._budget, "check", bearer=login.access_token)
        return await _whose(login, client)

    async def doors(self) -> list[Door]:
        """Each way in that is set, tried at X: a user read each. Raises nothing: problems are told."""
        token, base_url = self._settings.tokens.x_bearer_token, access.base_url(self._settings)
        doors = [Door("app token (X_BEARER_TOKEN)", is_set=False)]
        if token is not None:
            client = PayingClient(base_url, self._budget, "check", bearer=token)
            doors = [await _tried("app token (X_BEARER_TOKEN)", client, _lets_read)]
        keys, login = access.user_keys(self._settings), access.login_of(self._settings)
        if keys is None:
            missing = access.missing_keys(self._settings)
            problem = f"{', '.join(missing)} not set; all four are needed" if missing else ""
            doors.append(Door("account's keys (OAuth 1.0a)", is_set=False, problem=problem))
        else:
            client = PayingClient(base_url, self._budget, "check", user=keys)
            doors.append(await _tried("account's keys (OAuth 1.0a)", client, _who_signs))
        try:
            if not await login.is_there():
                return [*doors, Door("login (OAuth 2.0)", is_set=False)]
        except MynahError as error:
            return [*doors, Door("login (OAuth 2.0)", is_set=True, problem=str(error))]
        client = PayingClient(base_url, self._budget, "check", bearer=login.access_token)
        return [*doors, await _tried("login (OAuth 2.0)", client, partial(_whose, login))]


async def _tried(name: str, client: PayingClient, ask: Callable[[PayingClient], Awaitable[str]]) -> Door:
    try:
        return Door(name, is_set=True, account=await ask(client))
    except MynahError as error:
        return Door(name, is_set=True, problem=str(error))


async def _lets_read(client: PayingClient) -> str:
    """Look up an account that everybody may see, since an app's token is of none itself. Raises XError."""
    async with client:
        await client.get_user(username=_ANYBODY, user_auth=False)
        await client.settle(1)
    return ""


async def _who_signs(client: PayingClient) -> str:
    return (await _who(client, user_auth=True)).username


async def _whose(login: Login, client: PayingClient) -> str:
    """Ask whose the login is, and keep it with it: what X did not say at the login, a later check learns."""
    account = await _who(client, user_auth=False)
    await login.belongs_to(account.id)
    return account.username


async def _who(client: PayingClient, *, user_auth: bool) -> WireUser:
    """The account that X knows these keys by."""
    async with client:
        answer = await read_answer(UserAnswer, await client.get_me(user_auth=user_auth))
        await client.settle(1)
    if answer.data is None:
        raise Unreadable("X does not say whose keys these are.", "Try again later.")
    return answer.data


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError:
        raise CommandError(f"The port {port} of this machine is taken.", "Set another one: x.login_port.") from None


def _write_privately(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _read_begun(path: Path) -> Request:
    try:
        return Request(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise CommandError("No login has begun here.", "Begin one: `mynah x login`.") from None
