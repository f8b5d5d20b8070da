"""tweepy's client as Mynah uses it: any base URL, time-outs, nothing sent twice, errors that say what is certain.

What tweepy 4.17 does by itself, and must not: it knows one host; it follows a 308 and so posts again; it waits up to
15 minutes inside a call, or repeats it at once without end; it fails on an error page that is no JSON; it logs tokens
at DEBUG. Most of that is in its `request`, which is replaced here. Answers come as
`aiohttp.ClientResponse`, read whole: `json()` and `text()` give what they hold.
"""

from __future__ import annotations

import json as json_format
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from aiohttp.client_exceptions import ClientConnectorError, ConnectionTimeoutError, InvalidURL
from oauthlib.oauth1 import Client as Signer
from pydantic import SecretStr
from tweepy.asynchronous import AsyncClient
from yarl import URL

from bot.x.errors import NotSent, Problem, RateLimited, Refused, Unclear, refusal
from storage.errors import MynahError

PUBLIC_URL = "https://api.x.com"

Bearer = SecretStr | Callable[[], Awaitable[SecretStr]]
"""A token; or who gives one, and is asked before each request, so that it is renewed in time."""


@dataclass(frozen=True, slots=True)
class UserKeys:
    """OAuth 1.0a keys of an app and of an account: the simplest way for one bot account. They do not expire."""

    consumer_key: SecretStr
    consumer_secret: SecretStr
    access_token: SecretStr
    access_token_secret: SecretStr

    @property
    def user_id(self) -> str:
        """The account's, which begins its access token."""
        return self.access_token.get_secret_value().partition("-")[0]


class XClient(AsyncClient):  # type: ignore[misc]  # tweepy ships no types
    """tweepy's methods over `base_url`, for the length of an `async with` block.

    Give `bearer`, an app's token or an OAuth 2.0 user's, or `user`, or both. Every method takes `user_auth`: whether
    to sign with `user` instead of showing `bearer`. Each may raise NotSent, Refused and its kinds, or Unclear.
    """

    def __init__(
        self,
        base_url: str = PUBLIC_URL,
        *,
        bearer: Bearer | None = None,
        user: UserKeys | None = None,
        timeout_s: float = 30,
    ) -> None:
        super().__init__(return_type=ClientResponse, wait_on_rate_limit=False)
        self._base_url = base_url.rstrip("/")
        self._bearer = bearer
        self._user = user
        for library in ("tweepy", "oauthlib"):
            # Both write tokens to their logs at DEBUG.
            logging.getLogger(library).setLevel(logging.INFO)
        self._timeout = ClientTimeout(total=timeout_s, sock_connect=timeout_s / 3)

    @property
    def reads_as_user(self) -> bool:
        """What `user_auth` is for reading: signed where there is no token to show."""
        return self._bearer is None

    async def __aenter__(self) -> Self:
        self.session = ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> ClientResponse:
        """One request; what is posted is never sent again. The answer is a 2xx with a JSON object."""
        url = self._base_url + route
        if params:
            url += "?" + urlencode({name: str(value) for name, value in params.items()}, quote_via=quote)
        authorization = (
            self._signature(method, url) if user_auth else {"Authorization": f"Bearer {await self._token()}"}
        )
        headers = {"User-Agent": self.user_agent, **authorization}
        body = None
        if json is not None:
            headers["Content-Type"] = "application/json"
            body = json_format.dumps(json).encode()
        try:
            async with self.session.request(
                method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        except (ClientConnectorError, ConnectionTimeoutError, InvalidURL) as error:
            raise NotSent("X cannot be reached.", "Check the connection, and the base URL of X.") from error
        except (ClientError, TimeoutError) as error:
            raise Unclear("The connection to X broke off before its answer was there.", "Try again later.") from error
        if 400 <= response.status < 500:
            raise refusal(response.status, response.headers, content)
        if not 200 <= response.status < 300:
            raise Unclear(f"X is out of order (status {response.status}).", "Try again later.")
        if not _is_object(content):
            raise Unclear(
                "Something answered in X's place: it is no answer of the X API.", "Check the network and X's base URL."
            )
        return response

    async def _token(self) -> str:
        """What is asked without one was surely not sent."""
        assert self._bearer is not None, "a client without a bearer's token was asked to show it"
        if isinstance(self._bearer, SecretStr):
            return self._bearer.get_secret_value()
        try:
            return (await self._bearer()).get_secret_value()
        except (NotSent, Unclear, RateLimited) as error:
            raise NotSent(error.message, error.hint) from error
        except MynahError as error:
            raise Refused(401, Problem(), error.message, error.hint) from error

    def _signature(self, method: str, url: str) -> dict[str, str]:
        assert self._user is not None, "a client without a user's keys was asked to sign"
        user = self._user
        signer = Signer(
            user.consumer_key.get_secret_value(),
            user.consumer_secret.get_secret_value(),
            user.access_token.get_secret_value(),
            user.access_token_secret.get_secret_value(),
        )
        _, headers, _ = signer.sign(url, http_method=method)
        return dict(headers)


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(json_format.loads(content.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False
