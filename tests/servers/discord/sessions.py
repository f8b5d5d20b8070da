"""A session of the gateway: what one client has asked for, heard, and may resume; with the connection it has now."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass, field

from aiohttp import web

from tests.servers.discord.things import Json
from tests.servers.discord.world import MESSAGE_CONTENT, Event, World

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, ACK = 8, 9, 10, 11


@dataclass(frozen=True)
class CloseWith:
    """In the stream of frames: the connection ends here."""

    code: int


class Connection:
    """A socket with its compression context; frames go out in the order in which they were put."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, *, compressed: bool) -> None:
        self.socket, self.request = socket, request
        self.loop = asyncio.get_running_loop()
        self.closed_by_us = False
        self._deflate = zlib.compressobj() if compressed else None
        self._frames: asyncio.Queue[Json | bytes | CloseWith] = asyncio.Queue()

    def put(self, frame: Json | bytes | CloseWith) -> None:
        """From any thread."""
        self.loop.call_soon_threadsafe(self._frames.put_nowait, frame)

    def cut(self) -> None:
        """Hang up without a close frame, from any thread."""
        transport = self.request.transport
        if transport is not None:
            self.loop.call_soon_threadsafe(transport.abort)

    async def close(self, code: int) -> None:
        self.closed_by_us = True
        await self.socket.close(code=code)

    async def write(self) -> None:
        while not self.socket.closed:
            frame = await self._frames.get()
            try:
                if isinstance(frame, CloseWith):
                    await self.close(frame.code)
                elif isinstance(frame, bytes):
                    await self.socket.send_bytes(frame)
                else:
                    await self._send(json.dumps(frame))
            except (ConnectionResetError, RuntimeError):
                return

    async def _send(self, text: str) -> None:
        if self._deflate is None:
            await self.socket.send_str(text)
        else:
            flushed = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self.socket.send_bytes(flushed)


@dataclass(eq=False)
class Session:
    id: str
    intents: int
    connection: Connection | None = None
    heard: list[Json] = field(default_factory=list)
    """Everything dispatched, for whoever resumes."""
    shard: list[int] | None = None

    def hear(self, world: World, event: Event) -> None:
        """One event, if it was asked for: sent now, or kept for a resume."""
        if event.intent and not event.intent & self.intents:
            return
        data = event.data
        if event.message and not self.intents & MESSAGE_CONTENT and world.content_hidden(event.message):
            data = data | {"content": "", "embeds": [], "attachments": [], "components": []}
        frame = {"op": DISPATCH, "t": event.name, "s": len(self.heard) + 1, "d": data}
        self.heard.append(frame)
        if self.connection:
            self.connection.put(frame)
