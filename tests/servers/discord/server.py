"""A local Discord: REST, gateway and attachments on one free port of 127.0.0.1, for the length of a `with` block.

An unmodified discord.py is pointed at it, before login, by two class attributes, which serve a whole process:

    discord.http.Route.BASE = server.api_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from tests.servers.discord.faults import Fault, Faults
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.people import Person
from tests.servers.discord.ratelimits import RateLimits
from tests.servers.discord.rest import API, Request, Rest
from tests.servers.discord.things import WHAT_MYNAH_ASKS, Channel, Guild
from tests.servers.discord.world import World

T = TypeVar("T")

PATIENCE_S = 30.0


class LocalDiscord:
    def __init__(self, port: int = 0) -> None:
        self.world = World()
        self.clock = self.world.clock
        self.limits = RateLimits(self.clock)
        self.faults = Faults()
        self.gateway = Gateway(self.world)
        self._port = port
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def token(self) -> str:
        return self.world.token

    @property
    def api_url(self) -> str:
        return self.world.base_url + API

    @property
    def gateway_url(self) -> str:
        return self.world.base_url.replace("http", "ws", 1) + "/"

    @property
    def url(self) -> str:
        return self.world.base_url

    # --- what a test sets up

    def guild(self, name: str, permissions: int = WHAT_MYNAH_ASKS) -> Guild:
        """With the bot in it, holding those permissions."""
        return self.world.add_guild(name, permissions)

    def channel(self, guild: Guild, name: str) -> Channel:
        return self.world.add_channel(guild, name)

    def thread(self, parent: Channel, name: str) -> Channel:
        assert parent.guild
        return self.world.add_channel(parent.guild, name, parent)

    def person(self, name: str, *guilds: Guild) -> Person:
        """Somebody, a member of those guilds."""
        person = Person(self.world, self.world.add_user(name))
        for guild in guilds:
            person.joins(guild)
        return person

    @property
    def owner(self) -> Person:
        """Of every guild and of the application."""
        return Person(self.world, self.world.owner)

    def break_with(self, fault: Fault) -> Fault:
        return self.faults.add(fault)

    # --- what a test looks at

    @property
    def journal(self) -> list[Request]:
        return self._rest.journal

    @property
    def wrong_replies(self) -> list[str]:
        """What this server itself answered otherwise than Discord's description allows; empty, or it has a fault."""
        return self._rest.wrong_replies

    @property
    def invalid_requests(self) -> list[Request]:
        """Those that count towards the ban of an IP at 10,000 in 10 minutes (DISCORD.md, section 7)."""
        counted = [request for request in self.journal if request.status in (401, 403, 429)]
        return [request for request in counted if request.scope != "shared"]

    def asked(self, method: str, path: str) -> list[Request]:
        """The journal's requests of a method whose path has a part."""
        with self.world.changed:
            return [request for request in self.journal if request.method == method and path in request.path]

    def wait_for(self, look: Callable[[], T], what: str, timeout_s: float = PATIENCE_S) -> T:
        """Block until `look` finds something. Raises: AssertionError that names `what`."""
        return self.world.wait_for(look, what, timeout_s)

    # --- running

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._failure:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._rest.closing.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rest = Rest(self.world, self.limits, self.faults)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", API + "/{tail:.*}", self._rest.handle)
        app.router.add_get("/attachments/{channel}/{id}/{filename}", self._rest.serve_attachment)
        app.router.add_get("/", self.gateway.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self._port)
            await site.start()
            self.world.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._started.set()
            await self._rest.closing.wait()
            self.gateway.cut()
        except OSError as failure:
            self._failure = failure
            self._started.set()
        finally:
            await runner.cleanup()
