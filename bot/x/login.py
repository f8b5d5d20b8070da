"""OAuth 2.0 with PKCE (RFC 7636): an account says yes on X's page, and its tokens are renewed before they end.

What X does, as its users report it: a refresh token works once; a used one is refused with 400. So a pair is on the
disk before it is used. What no client can mend is X's answer lost on the way, after the old token was used up. It is
asked for ten minutes before the access token's end; once X refuses the refresh token it is thrown away, so that X is
not asked again and again, the access token serves to its end, and then the sentence says to log in again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth
from aiohttp.client_exceptions import ClientConnectorError, ConnectionTimeoutError
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from bot.errors import CommandError
from bot.settings import Settings
from bot.x.client import PUBLIC_URL
from bot.x.errors import NotSent, Problem, Refused, Unclear, Unreadable, XError
from bot.x.token_file import TokenFile, TokenPair

SCOPES = "tweet.read tweet.write users.read offline.access"
_AUTHORIZE = "https://x.com/i/oauth2/authorize"
_RENEWED_BEFORE = timedelta(minutes=10)
_TIMEOUT = ClientTimeout(total=30)


class _Granted(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    expires_in: float


@dataclass(frozen=True, slots=True)
class Request:
    """A login that has begun: X sends the browser back with a code for whoever knows the verifier."""

    state: str
    verifier: str
    back: str
    """The address to which X sends the browser."""
    client_id: str
    page: str

    @property
    def url(self) -> str:
        """The page on which the account's owner says yes."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.back,
            "scope": SCOPES,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.page}?{urlencode(asked)}"

    def code_in(self, address: str) -> str:
        """The code in the address to which X sent the browser. Raises CommandError."""
        given = parse_qs(urlsplit(address.strip()).query)
        if given.get("state") != [self.state]:
            raise CommandError("That address belongs to another login.", "Begin again: `mynah x login`.")
        if "code" not in given:
            raise CommandError("X did not say yes.", "Begin again: `mynah x login`, and allow the app.")
        return given["code"][0]


class Login:
    """The tokens of the account that logged in; `now` is what their end is held against."""

    def __init__(
        self, settings: Settings, file: TokenFile, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._file = file
        self._now = now

    async def is_there(self) -> bool:
        """Whether somebody logged in. Raises SettingsError for a broken file."""
        return await asyncio.to_thread(self._file.read) is not None

    async def account_id(self) -> str:
        """Whose login it is; "" where nobody logged in, or X was not asked. Raises SettingsError for a broken file."""
        pair = await asyncio.to_thread(self._file.read)
        return "" if pair is None else pair.account_id

    def begin(self) -> Request:
        """Raises CommandError where the app's id is not set."""
        x = self._settings.x
        page = f"{x.base_url}/i/oauth2/authorize" if x.base_url else _AUTHORIZE
        back = f"http://127.0.0.1:{x.login_port}/callback"
        return Request(secrets.token_urlsafe(24), secrets.token_urlsafe(48), back, self._client_id(), page)

    async def finish(self, request: Request, code: str) -> None:
        """Exchange the code, which lives for 30 seconds, for tokens. Raises XError."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": request.back}
        async with self._file.held():
            await asyncio.shield(self._exchange({**form, "code_verifier": request.verifier}))

    async def belongs_to(self, account_id: str) -> None:
        """Keep whose login it is, as X says."""
        async with self._file.held():
            pair = await asyncio.to_thread(self._file.read)
            if pair is not None and pair.account_id != account_id:
                await asyncio.to_thread(self._file.write, pair.model_copy(update={"account_id": account_id}))

    async def access_token(self) -> SecretStr:
        """One that is good for ten minutes at least, where X gives one. Raises CommandError, XError."""
        pair = await asyncio.to_thread(self._file.read)
        if pair is None:
            raise CommandError("No account on X is logged in.", "`mynah x login` does it.")
        if pair.is_fresh(self._now() + _RENEWED_BEFORE):
            return pair.access_token
        return await self._renewed()

    async def _renewed(self) -> SecretStr:
        async with self._file.held():
            pair = await asyncio.to_thread(self._file.read)
            assert pair is not None, "a login does not vanish while it is used"
            if pair.is_fresh(self._now() + _RENEWED_BEFORE):  # another was faster
                return pair.access_token
            try:
                # A new pair that has been sent is stored, whoever loses patience meanwhile.
                return (await asyncio.shield(self._refresh(pair))).access_token
            except XError:
                if pair.is_fresh(self._now()):
                    return pair.access_token
                raise

    async def _refresh(self, pair: TokenPair) -> TokenPair:
        if pair.refresh_token is None:
            raise _ended()
        form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token.get_secret_value()}
        try:
            return await self._exchange(form, pair.account_id)
        except Refused:
            await asyncio.to_thread(self._file.write, pair.model_copy(update={"refresh_token": None}))
            raise

    async def _exchange(self, form: dict[str, str], account_id: str = "") -> TokenPair:
        """A new pair from X, on the disk before it is given back."""
        id, secret = self._client_id(), self._settings.tokens.x_client_secret
        headers = {} if secret is None else {"Authorization": encode_basic_auth(id, secret.get_secret_value())}
        url = f"{self._settings.x.base_url or PUBLIC_URL}/2/oauth2/token"
        try:
            async with (
                ClientSession(timeout=_TIMEOUT) as session,
                session.post(url, data={**form, "client_id": id}, headers=headers, allow_redirects=False) as answer,
            ):
                status, content = answer.status, await answer.read()
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            raise NotSent("X cannot be reached to renew the login.", "Check the connection, then try again.") from error
        except (ClientError, TimeoutError) as error:
            raise Unclear(
                "X's answer about the login was lost.", "Try again; where X refuses then, log in anew: `mynah x login`."
            ) from error
        if status in (400, 401):
            raise _ended()
        if status != 200:
            raise Unclear(f"X is out of order (status {status}).", "Try again later.")
        try:
            granted = _Granted.model_validate(json.loads(content))
        except (ValueError, ValidationError) as error:
            raise Unreadable("X's answer is not what its documentation promises.", "Log in again.") from error
        ends = self._now() + timedelta(seconds=granted.expires_in)
        pair = TokenPair(
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
            expires_at=ends,
            account_id=account_id,
        )
        await asyncio.to_thread(self._file.write, pair)
        return pair

    def _client_id(self) -> str:
        id = self._settings.tokens.x_client_id
        if id is None:
            raise CommandError("The app's OAuth 2.0 client id is not set.", "Set X_CLIENT_ID (and X_CLIENT_SECRET).")
        return id.get_secret_value()


def _ended() -> Refused:
    return Refused(
        401,
        Problem(),
        "X does not accept this login: it was used up, revoked or has ended.",
        "Log in: `mynah x login`.",
    )
