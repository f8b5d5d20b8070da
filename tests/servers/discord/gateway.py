"""Gateway v10: hello, identify, heartbeats, resume, and every way to end (DISCORD.md, section 5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter, deque

from aiohttp import WSMsgType, web

from tests.servers.discord import payloads
from tests.servers.discord.sessions import (
    ACK,
    HEARTBEAT,
    HELLO,
    IDENTIFY,
    INVALID_SESSION,
    PRESENCE,
    RECONNECT,
    REQUEST_MEMBERS,
    RESUME,
    VOICE,
    CloseWith,
    Connection,
    Session,
)
from tests.servers.discord.things import Json
from tests.servers.discord.world import GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT, Event, World

PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
SENDS, SENDS_PER_S, LARGEST_BYTES = 120, 60.0, 4_096
GONE_AFTER_OURS, GONE_AFTER_THEIRS = (4007, 4009), (1000, 1001)
"""Close codes after which a session cannot be resumed, by who closed."""


class Gateway:
    """One for all connections. A test ends, confuses or starves them through its methods, from any thread."""

    def __init__(self, world: World) -> None:
        self.heartbeat_s = 41.25
        self.identify_every_s = 0.0
        """Discord allows one in 5 s; a bot that is killed and started again would wait."""
        self.acks = True
        """Whether heartbeats are acknowledged."""
        self.hellos = True
        self.seen: Counter[str] = Counter()
        """How often: `connect`, `identify`, `resume`, `heartbeat`, and each `close 4000` by code."""
        self.sessions: dict[str, Session] = {}
        self._world = world
        self._connections: set[Connection] = set()
        self._refused_resumes = 0
        self._identified_s = 0.0
        world.listener = self.tell

    # --- what a test does

    @property
    def connected(self) -> bool:
        return any(session.connection for session in self.sessions.values())

    def close(self, code: int) -> None:
        """Close every connection with a code."""
        with self._world.changed:
            for session in [s for s in self.sessions.values() if code in GONE_AFTER_OURS and s.connection]:
                del self.sessions[session.id]
            self._put(CloseWith(code))

    def cut(self) -> None:
        """Every connection is gone without a word."""
        for connection in list(self._connections):
            connection.cut()

    def ask_reconnect(self) -> None:
        self._put({"op": RECONNECT, "d": None, "s": None, "t": None})

    def ask_heartbeat(self) -> None:
        self._put({"op": HEARTBEAT, "d": None, "s": None, "t": None})

    def invalidate(self, *, resumable: bool = False) -> None:
        with self._world.changed:
            if not resumable:
                self.sessions.clear()
            self._put({"op": INVALID_SESSION, "d": resumable, "s": None, "t": None})

    def refuse_resumes(self, times: int = 1) -> None:
        self._refused_resumes = times

    def send_raw(self, frame: Json | bytes) -> None:
        """A frame as it stands: bytes uncompressed, so that they break a compressed stream."""
        self._put(frame)

    def tell(self, event: Event) -> None:
        """An event to every session that asked for its kind; malformed ones too."""
        with self._world.changed:
            for session in self.sessions.values():
                session.hear(self._world, event)

    def _put(self, frame: Json | bytes | CloseWith) -> None:
        for connection in list(self._connections):
            connection.put(frame)

    # --- what a connection does

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0, autoclose=True)
        await socket.prepare(request)
        connection = Connection(socket, request, compressed=request.query.get("compress") == "zlib-stream")
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            self._count("connect")
            if self.hellos:
                connection.put({"op": HELLO, "d": {"heartbeat_interval": int(self.heartbeat_s * 1000)}})
            await self._listen(connection)
        finally:
            self._connections.discard(connection)
            self._leave(connection)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def _listen(self, connection: Connection) -> None:
        sent: deque[float] = deque(maxlen=SENDS)
        while True:
            try:
                message = await connection.socket.receive(timeout=self.heartbeat_s * 2)
            except TimeoutError:
                await connection.close(4009)
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            now_s = time.monotonic()
            flooded = len(sent) == SENDS and now_s - sent[0] < SENDS_PER_S
            sent.append(now_s)
            code = 4008 if flooded else self._take(connection, message.data)
            if code:
                await connection.close(code)
                return

    def _take(self, connection: Connection, data: str | bytes) -> int:
        """What one frame of the client brings about. Returns the close code that it earns, or 0."""
        try:
            frame = json.loads(data)
            op, body = frame["op"], frame.get("d")
        except (ValueError, KeyError, TypeError):
            return 4002
        if len(data) > LARGEST_BYTES:
            return 4002
        if op == HEARTBEAT:
            self._count("heartbeat")
            if self.acks:
                connection.put({"op": ACK, "d": None, "s": None, "t": None})
            return 0
        session = next((s for s in self.sessions.values() if s.connection is connection), None)
        if op in (IDENTIFY, RESUME):
            if session:
                return 4005
            return self._identify(connection, body) if op == IDENTIFY else self._resume(connection, body)
        if session is None:
            return 4003
        if op == REQUEST_MEMBERS:
            self._send_members(session, body)
            return 0
        return 0 if op in (PRESENCE, VOICE) else 4001

    def _identify(self, connection: Connection, body: Json) -> int:
        world = self._world
        with world.changed:
            self._count("identify")
            if body["token"] != world.token:
                return 4004
            intents = int(body["intents"])
            if intents >> 26:
                return 4013
            if intents & PRIVILEGED & ~world.privileged:
                return 4014
            if time.monotonic() - self._identified_s < self.identify_every_s:
                connection.put({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
                return 0
            self._identified_s = time.monotonic()
            session = Session(world.new_token()[:32], intents, connection, shard=body.get("shard"))
            self.sessions[session.id] = session
            session.hear(world, Event("READY", self._ready(session)))
            for guild in world.guilds.values():
                session.hear(world, Event("GUILD_CREATE", payloads.guild(world, guild), 1))
            world.changed.notify_all()
        return 0

    def _ready(self, session: Session) -> Json:
        world = self._world
        body: Json = {
            "v": 10,
            "user": payloads.user(world.bot),
            "guilds": [{"id": id, "unavailable": True} for id in world.guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": world.base_url.replace("http", "ws", 1),
            "application": {"id": world.application_id, "flags": world.application_flags},
        }
        return body | ({"shard": session.shard} if session.shard else {})

    def _resume(self, connection: Connection, body: Json) -> int:
        with self._world.changed:
            self._count("resume")
            session = self.sessions.get(body["session_id"])
            if body["token"] != self._world.token:
                return 4004
            if session is None or self._refused_resumes:
                self._refused_resumes = max(0, self._refused_resumes - 1)
                self.sessions.pop(body["session_id"], None)
                connection.put({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
                return 0
            if body["seq"] > len(session.heard):
                del self.sessions[session.id]
                return 4007
            session.connection = connection
            for frame in session.heard[body["seq"] :]:
                connection.put(frame)
            session.hear(self._world, Event("RESUMED", {}))
            self._world.changed.notify_all()
        return 0

    def _send_members(self, session: Session, body: Json) -> None:
        guild = self._world.guilds.get(str(body["guild_id"]))
        if guild is None:
            return
        wanted, start = body.get("user_ids"), (body.get("query") or "").lower()
        ids = [wanted] if isinstance(wanted, str) else wanted
        found = [
            payloads.member(guild, who)
            for who in guild.members.values()
            if (who.id in ids if ids is not None else who.name.lower().startswith(start))
        ]
        chunk: Json = {"guild_id": guild.id, "members": found, "chunk_index": 0, "chunk_count": 1}
        if "nonce" in body:
            chunk["nonce"] = body["nonce"]
        session.hear(self._world, Event("GUILD_MEMBERS_CHUNK", chunk))

    def _leave(self, connection: Connection) -> None:
        """The session lives on for a resume, unless the client closed it for good."""
        code = connection.socket.close_code
        with self._world.changed:
            self._count(f"close {code}")
            for session in [s for s in self.sessions.values() if s.connection is connection]:
                session.connection = None
                if code in GONE_AFTER_THEIRS and not connection.closed_by_us:
                    del self.sessions[session.id]
            self._world.changed.notify_all()

    def _count(self, what: str) -> None:
        with self._world.changed:
            self.seen[what] += 1
            self._world.changed.notify_all()
