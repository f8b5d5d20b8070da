"""tweepy as it comes, led to a local X: only the connection is diverted, signatures still cover api.twitter.com."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession
from tweepy.asynchronous import AsyncClient
from yarl import URL

from tests.servers.x import LocalX
from tests.servers.x_auth import UserKeys


@asynccontextmanager
async def plain_tweepy(
    x: LocalX, *, keys: UserKeys | None = None, bearer: str | None = None
) -> AsyncIterator[AsyncClient]:
    async def divert(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        assert request.url.host == "api.twitter.com"
        request.url = URL(x.url + request.url.raw_path_qs, encoded=True)
        return await handler(request)

    signing = (
        (keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret) if keys else (None,) * 4
    )
    client = AsyncClient(bearer or x.door.app_token, *signing)
    async with ClientSession(middlewares=(divert,)) as client.session:
        yield client
