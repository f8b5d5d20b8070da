"""A W&B server on 127.0.0.1: what `wandb` needs to upload runs and artifacts, or a bad day of it.

The answers follow what wandb-core 0.31 asks: GraphQL for runs and artifacts, a file stream for metrics, PUT for files.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from pydantic import BaseModel, JsonValue

Mood = Literal["well", "hangs", "drops"] | int
"""An integer is the HTTP status that everything is answered with."""

Json = dict[str, JsonValue]


class _Question(BaseModel):
    query: str
    variables: Json = {}


@dataclass
class WandbServer:
    """What arrived, by name."""

    url: str
    mood: Mood
    asked: int = 0
    """Requests so far."""
    keys: set[str] = field(default_factory=set)
    """Authorization headers."""
    runs: dict[str, Json] = field(default_factory=dict)
    """Run id → what was last said of it."""
    metrics: dict[str, list[str]] = field(default_factory=dict)
    """Run id → lines of its history, as JSON."""
    artifacts: list[Json] = field(default_factory=list)
    """As they were created, in order."""
    used: list[Json] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """Path → content."""
    unknown: list[str] = field(default_factory=list)
    """Questions that this server has no answer to."""
    woken: threading.Event = field(default_factory=threading.Event)

    def answer(self, question: _Question) -> JsonValue:
        """What GraphQL's `data` holds."""
        answers: dict[str, Callable[[Json], JsonValue]] = {
            "Viewer": lambda _: {"viewer": {"id": "1", "entity": "me", "username": "me", "flags": "{}"}},
            "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
            "RunResumeStatus": lambda _: {"model": None},
            "UpsertBucket": self._run,
            "CreateRunFiles": self._run_files,
            "ArtifactType": lambda _: {"project": {"artifact": None}},
            "CreateArtifact": self._artifact,
            "CreateArtifactManifest": self._manifest,
            "CreateArtifactFiles": self._artifact_files,
            "CommitArtifact": lambda said: {"commitArtifact": {"artifact": {"id": said["artifactID"], "digest": ""}}},
            "UseArtifact": self._use,
        }
        name = question.query.replace("{", "(").partition("(")[0].split()[1]
        if name not in answers:
            self.unknown.append(question.query)
            return {}
        return answers[name](question.variables)

    def _run(self, said: Json) -> JsonValue:
        run_id = str(said["name"])
        self.runs[run_id] = {**self.runs.get(run_id, {}), **{key: value for key, value in said.items() if value}}
        bucket: Json = {"id": run_id, "name": run_id, "displayName": said["displayName"], "config": said["config"]}
        bucket["project"] = {"id": "1", "name": said["project"], "entity": {"id": "1", "name": "me"}}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}

    def _run_files(self, said: Json) -> JsonValue:
        names = said["files"]
        assert isinstance(names, list)
        files: list[JsonValue] = [{"name": name, "uploadUrl": self._place(said["run"], name)} for name in names]
        return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}

    def _artifact(self, said: Json) -> JsonValue:
        self.artifacts.append(_input(said))
        place: Json = {"artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": {"id": f"artifact-{len(self.artifacts)}", "state": "PENDING", **place}}}

    def _manifest(self, said: Json) -> JsonValue:
        name = "wandb_manifest.json"
        file: Json = {"id": "1", "name": name, "displayName": name, "uploadHeaders": []}
        file["uploadUrl"] = self._place(said["artifactID"], name)
        return {"createArtifactManifest": {"artifactManifest": {"id": said["artifactID"], "file": file}}}

    def _artifact_files(self, said: Json) -> JsonValue:
        files = _input(said)["artifactFiles"]
        assert isinstance(files, list)
        nodes: list[JsonValue] = []
        for file in files:
            assert isinstance(file, dict)
            id_, name = file["artifactID"], file["name"]
            node: Json = {"storagePath": f"{id_}/{name}", "uploadUrl": self._place(id_, name), "uploadHeaders": []}
            nodes.append({"node": {**node, "uploadMultipartUrls": None, "artifact": {"id": id_}}})
        return {"createArtifactFiles": {"files": {"edges": nodes}}}

    def _use(self, said: Json) -> JsonValue:
        self.used.append(_input(said))
        return {"useArtifact": {"artifact": {"id": _input(said)["artifactID"]}}}

    def _place(self, owner: JsonValue, name: JsonValue) -> str:
        return f"{self.url}/put/{owner}/{name}"


def _input(said: Json) -> Json:
    asked = said["input"]
    assert isinstance(asked, dict)
    return asked


@contextmanager
def serving(mood: Mood = "well") -> Iterator[WandbServer]:
    """A server, for as long as the block lasts."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    server = WandbServer(f"http://127.0.0.1:{http.server_port}", mood)
    http.state = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.woken.set()
        http.shutdown()
        thread.join()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client has gone
            self.close_connection = True

    def do_GET(self) -> None:
        self._respond(b"")

    def do_PUT(self) -> None:
        self._respond(self._body())

    def do_POST(self) -> None:
        self._respond(self._body())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _respond(self, body: bytes) -> None:
        server: WandbServer = self.server.state  # type: ignore[attr-defined]
        server.asked += 1
        if key := self.headers.get("Authorization"):
            server.keys.add(key)
        if isinstance(server.mood, int):
            self._say(server.mood, {"errors": [{"message": "a bad day"}]})
        elif server.mood == "hangs":
            server.woken.wait()
            self.close_connection = True
        elif server.mood == "drops":
            self.close_connection = True
        elif self.path == "/graphql":
            self._say(200, {"data": server.answer(_Question.model_validate_json(body))})
        elif self.path.endswith("/file_stream"):
            self._stream(server, json.loads(body))
        else:
            server.files[self.path] = body
            self._say(200, {})

    def _stream(self, server: WandbServer, said: Json) -> None:
        files = said.get("files") or {}
        assert isinstance(files, dict)
        history = files.get("wandb-history.jsonl")
        if isinstance(history, dict) and isinstance(lines := history["content"], list):
            server.metrics.setdefault(self.path.split("/")[-2], []).extend(str(line) for line in lines)
        self._say(200, {})

    def _say(self, status: int, answer: JsonValue) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
