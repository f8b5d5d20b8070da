"""The REST side: every request is kept, held against faults, rights, rate limits and the description, then answered."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from dataclasses import dataclass, field

from aiohttp import MultipartReader, web

from tests.servers.discord import applications, interactions, messages, schema, webhooks
from tests.servers.discord.faults import Fault, Faults
from tests.servers.discord.messages import Limited
from tests.servers.discord.ratelimits import RateLimits
from tests.servers.discord.routes import Answer, Call, Route, Upload
from tests.servers.discord.things import DiscordError, Json
from tests.servers.discord.world import World

API = "/api/v10"
ROUTES = (*applications.ROUTES, *messages.ROUTES, *interactions.ROUTES, *webhooks.ROUTES)
_PART = re.compile(r"files?\[?(\d*)\]?")


@dataclass
class Request:
    """One line of the journal."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case names."""
    body: object = None
    filenames: list[str] = field(default_factory=list)
    at_s: float = 0.0
    status: int = 0
    """Of the answer; 0 where the connection was cut."""
    code: int = 0
    """Discord's, of an error."""
    scope: str = ""
    """Of a 429."""


class Rest:
    def __init__(self, world: World, limits: RateLimits, faults: Faults) -> None:
        self.journal: list[Request] = []
        """Every request that came in whole, oldest first."""
        self.wrong_replies: list[str] = []
        """What the server itself answered otherwise than Discord's description allows."""
        self.closing = asyncio.Event()
        self._world, self._limits, self._faults = world, limits, faults

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(API)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body, files = await _read(request)
        except (UnicodeDecodeError, ValueError):
            return _json(400, {"code": 50109, "message": "The request body contains invalid JSON."})
        entry = Request(request.method, path, dict(request.query), headers, body)
        entry.filenames = [file.filename for file in files.values()]
        entry.at_s = self._world.clock.now_s()
        fault = self._faults.strike(request.method, path)
        if fault and (strange := await self._before(request, entry, fault)):
            return strange
        with self._world.changed:
            response = self._answer(entry, files)
            self.journal.append(entry)
            self._world.changed.notify_all()
        return self._after(request, response, entry, fault)

    # --- faults

    async def _before(self, request: web.Request, entry: Request, fault: Fault) -> web.StreamResponse | None:
        """The answer in place of the work, if the fault is such."""
        fault.met.set()
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.stall:
            await self.closing.wait()
        instead: web.StreamResponse | None = None
        if fault.cut or fault.stall:
            _reset(request)
            instead = web.Response(status=500)
        elif fault.too_many:
            entry.scope = fault.too_many.scope
            instead = _json(429, fault.too_many.body(), fault.too_many.headers())
        elif fault.garbage:
            instead = web.Response(body=b"<html>upstream", content_type="application/json")
        elif fault.status and not fault.done_first:
            instead = _json(fault.status, {"code": 0, "message": "as the test asked"})
        if instead:
            entry.status = 0 if fault.cut or fault.stall else instead.status
            with self._world.changed:
                self.journal.append(entry)
                self._world.changed.notify_all()
        return instead

    def _after(
        self, request: web.Request, response: web.Response, entry: Request, fault: Fault | None
    ) -> web.StreamResponse:
        if fault and fault.lose_answer:
            entry.status = 0
            _reset(request)
        if fault and fault.status:
            entry.status = fault.status
            return _json(fault.status, {"code": 0, "message": "done, but as the test asked"})
        return response

    # --- the work

    def _answer(self, entry: Request, files: dict[str, Upload]) -> web.Response:
        headers: dict[str, str] = {}
        try:
            route, ids = self._find(entry)
            if route.needs_bot and entry.headers.get("authorization") != f"Bot {self._world.token}":
                raise DiscordError(401, 0, "401: Unauthorized")
            headers, refusal = self._limits.take(entry.method, route.template, ids)
            if refusal:
                raise Limited(refusal)
            if entry.body is not None:
                schema.check_body(entry.method, route.template, entry.body, multipart=bool(files))
            call = Call(self._world, self._limits, ids, entry.query, entry.body, files)
            answer = route.answer(call)
        except DiscordError as no:
            entry.status, entry.code = no.status, no.code
            body = {"code": no.code, "message": no.message}
            return _json(no.status, body | ({"errors": no.errors} if no.errors else {}), headers)
        except Limited as no:
            entry.status, entry.code, entry.scope = 429, no.refusal.code, no.refusal.scope
            return _json(429, no.refusal.body(), headers | no.refusal.headers())
        return self._ok(entry, route, answer, headers)

    def _find(self, entry: Request) -> tuple[Route, dict[str, str]]:
        for route in ROUTES:
            if route.method == entry.method and (ids := route.match(entry.path)) is not None:
                return route, ids
        raise DiscordError(404, 0, "404: Not Found")

    def _ok(self, entry: Request, route: Route, answer: Answer, headers: dict[str, str]) -> web.Response:
        entry.status = answer.status
        if answer.status == 204:
            return web.Response(status=204, headers=headers)
        self.wrong_replies += schema.problems_of_reply(entry.method, route.template, answer.status, answer.body)
        return _json(answer.status, answer.body, headers)

    async def serve_attachment(self, request: web.Request) -> web.Response:
        """As the CDN: without a token, until the address expires."""
        file = self._world.files.get(request.match_info["id"])
        if file is None or file.expires_s < self._world.clock.now_s():
            return web.Response(status=404, text="This content is no longer available.")
        fault = self._faults.strike("GET", request.path)
        if fault and (strange := await self._before(request, Request("GET", request.path, {}, {}), fault)):
            return strange  # type: ignore[return-value]
        return web.Response(body=file.content, content_type=file.content_type)


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    # `text=` would add a charset, and discord.py reads JSON only where there is none
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json", headers=headers or {}
    )


def _reset(request: web.Request) -> None:
    """Hang up without a good-bye."""
    transport = request.transport
    if transport is None:
        return
    plug = transport.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _read(request: web.Request) -> tuple[object, dict[str, Upload]]:
    """The JSON and the files of a request. Raises: ValueError where it is neither."""
    if request.content_type != "multipart/form-data":
        raw = await request.read()
        return (json.loads(raw) if raw else None), {}
    body: object = None
    files: dict[str, Upload] = {}
    fields: Json = {}
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if isinstance(part, MultipartReader):
            raise ValueError("multipart in multipart")
        content = bytes(await part.read())
        if part.name == "payload_json":
            body = json.loads(content)
        elif part.name and (found := _PART.fullmatch(part.name)):
            files[found[1] or "0"] = Upload(part.filename or "unknown", content)
        elif part.name:
            fields[part.name] = content.decode()
    return (body if body is not None else fields), files
