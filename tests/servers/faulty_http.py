"""An HTTP server in a thread, with a journal of what it was asked and faults that a test switches on."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_PIECE = 16_384


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes = b""

    @property
    def token(self) -> str | None:
        """The bearer's, if it came along."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Bearer" else None


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with requests whose method and path match, so many times."""

    method: str
    path: str
    """A part of it."""
    status: int = 0
    """Answered with this."""
    cut_after_bytes: int | None = None
    """Of the request's body, or of the answer's where it has none: then the connection is reset."""
    politely: bool = False
    """Cut by closing, as a proxy does that gives up, not by a reset."""
    stall: bool = False
    """No answer until the server closes."""
    lose_answer: bool = False
    """Done as asked, but the connection is reset before the answer."""
    garbage: bool = False
    """Answered with a page that is none of the service's."""
    times: int = 1
    met: threading.Event = field(default_factory=threading.Event)
    """Set once it has struck."""


class FaultyHttp:
    """Serves `answer` on a free port of 127.0.0.1, for the length of a `with` block."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.journal: list[Request] = []
        """Every request that came in whole, oldest first."""
        self._answer = answer
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def other_url(self) -> str:
        """The same server by another host's name, as a Hub's storage is."""
        return f"http://localhost:{self.port}"

    def break_with(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def mend(self) -> None:
        """No more faults."""
        self._faults.clear()

    def asked(self, method: str, path: str) -> list[Request]:
        """The journal's requests of a method whose path has a part."""
        return [request for request in self.journal if request.method == method and path in request.path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method == method and fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def reply(self, request: Request, fault: Fault | None) -> Reply:
        with self._lock:
            self.journal.append(request)
            if fault is not None and fault.status:
                return Reply(fault.status, b'{"error": "as the test asked"}')
            if fault is not None and fault.garbage:
                return Reply(200, b"<html>Please sign in to the Wi-Fi</html>", {"Content-Type": "text/html"})
            return self._answer(request)

    def wait_until_closed(self) -> None:
        self._closing.wait(60)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, owner: FaultyHttp) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what tests are about; what else goes wrong shows as a missing answer."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self) -> None:
        server = self.server.owner
        parts = urlsplit(self.path)
        fault = server.fault_for(self.command, parts.path)
        limit = None if fault is None else fault.cut_after_bytes
        body = self._read_body(limit)
        if body is None:
            assert fault is not None
            self._reset(fault)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        request = Request(self.command, headers.get("host", ""), parts.path, query, headers, body)
        if fault is not None and fault.stall:
            fault.met.set()
            server.wait_until_closed()
            self.close_connection = True
            return
        self._send(server.reply(request, fault), fault)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    def _read_body(self, limit: int | None) -> bytes | None:
        """The whole body; None where it was read up to the limit and has more."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length and limit is not None:
            self.rfile.read(min(limit, length))
            return None
        return self.rfile.read(length)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        if fault is not None and fault.lose_answer:
            self._reset(fault)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = fault is not None and fault.cut_after_bytes is not None
        if fault is not None and cut:
            self.wfile.write(reply.body[: fault.cut_after_bytes])
            self._reset(fault)
        else:
            self.wfile.write(reply.body)
            if fault is not None:
                fault.met.set()

    def _reset(self, fault: Fault) -> None:
        """Hang up without a good-bye."""
        self.wfile.flush()
        if not fault.politely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        fault.met.set()

    def log_message(self, format: str, *arguments: object) -> None:
        """The journal is enough."""
