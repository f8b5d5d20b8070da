"""A Hub in memory, speaking what an unmodified `huggingface_hub` speaks: repositories, Git LFS, commits, downloads.

Checked against huggingface_hub 2.4 and git-lfs' batch API (github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).
Like the real one it hides private repositories (401 without a token, 404 with another's), answers 409 for what is there
already, takes large files in parts, and keeps them on another host, to which no token should come.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.servers.faulty_http import FaultyHttp, Reply, Request

PART_BYTES = 200_000
"""Larger files are uploaded in parts of this size."""

_LFS_NAMES = (".safetensors", ".bin", ".png")


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    """Their hashes, oldest first."""

    @property
    def head(self) -> str:
        return self.commits[-1]


class LocalHub(FaultyHttp):
    """`tokens` are users by their tokens; a user may do everything with repositories of that name."""

    def __init__(self, tokens: dict[str, str]) -> None:
        super().__init__(self._route)
        self.tokens = tokens
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        """What LFS stores, by SHA-256."""
        self._parts: dict[tuple[str, int], bytes] = {}
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = [
            (method, re.compile(pattern), handler)
            for method, pattern, handler in (
                ("GET", r"/api/whoami-v2", self._whoami),
                ("POST", r"/api/repos/create", self._create),
                ("POST", r"/api/validate-yaml", self._validate_yaml),
                ("GET", r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", self._info),
                ("GET", r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", self._tree),
                ("POST", r"/api/models/([^/]+/[^/]+)/preupload/[^/]+", self._preupload),
                ("POST", r"/api/models/([^/]+/[^/]+)/commit/[^/]+", self._commit),
                ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._lfs_batch),
                ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/verify", self._lfs_verify),
                ("PUT", r"/storage/([0-9a-f]{64})", self._lfs_put),
                ("POST", r"/storage/([0-9a-f]{64})", self._lfs_complete),
                ("GET", r"/storage/([0-9a-f]{64})", self._lfs_get),
                ("HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
                ("GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
            )
        ]

    def publish(self, repo: str, files: dict[str, bytes], *, private: bool = False) -> None:
        """Put a repository there, as somebody had pushed it long ago."""
        self.repositories[repo] = Repository(private, dict(files), [_commit_hash(repo, 0)])

    def sent(self, content: bytes) -> list[Request]:
        """The uploads of a large file, or of its parts, that came in whole."""
        return self.asked("PUT", f"/storage/{_sha256(content)}")

    def _route(self, request: Request) -> Reply:
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if method == request.method and match is not None:
                return handler(request, *(unquote(part) if part else part for part in match.groups()))
        return Reply(404)

    def _user(self, request: Request) -> str | None:
        return self.tokens.get(request.token or "")

    def _refusal(self, request: Request, repo: str, *, writes: bool = False) -> Reply | None:
        """Why a request must not go on, as the Hub tells it."""
        user = self._user(request)
        if request.token is not None and user is None:
            return _error(401, "Invalid credentials in Authorization header")
        known = self.repositories.get(repo)
        owns = user == repo.partition("/")[0]
        if known is None or (known.private and not owns):
            hidden = "Invalid username or password." if user is None else "Repository not found"
            return _error(401 if user is None else 404, hidden, "RepoNotFound")
        return _error(403, "You don't have the rights") if writes and not owns else None

    def _whoami(self, request: Request) -> Reply:
        user = self._user(request)
        return _error(401, "Invalid username or password.") if user is None else _json({"name": user, "type": "user"})

    def _create(self, request: Request) -> Reply:
        wanted = json.loads(request.body)
        user = self._user(request)
        if user is None:
            return _error(401, "Invalid username or password.")
        owner = wanted.get("organization") or user
        repo = f"{owner}/{wanted['name']}"
        if owner != user:
            return _error(403, f"You don't have the rights to create a model under the namespace {owner}")
        url = {"url": f"{self.url}/{repo}", "name": repo}
        if repo in self.repositories:
            return _json({**url, "error": "You already created this model repo"}, 409)
        self.repositories[repo] = Repository(wanted.get("visibility") == "private")
        self.repositories[repo].commits.append(_commit_hash(repo, 0))
        return _json(url)

    def _validate_yaml(self, request: Request) -> Reply:
        broken = "language: [" in json.loads(request.body)["content"]
        errors = [{"message": "metadata is no YAML"}] if broken else []
        return _json({"errors": errors, "warnings": []}, 400 if broken else 200)

    def _info(self, request: Request, repo: str, revision: str | None) -> Reply:
        refusal = self._refusal(request, repo)
        if refusal is not None:
            return refusal
        known = self.repositories[repo]
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": _git_hash(content),
                **({"lfs": _lfs_about(content, "sha256")} if _is_large(name) else {}),
            }
            for name, content in sorted(known.files.items())
        ]
        return _json({"id": repo, "private": known.private, "sha": known.head, "tags": [], "siblings": siblings})

    def _tree(self, request: Request, repo: str, revision: str) -> Reply:
        files = [
            {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": _git_hash(content),
                **({"lfs": _lfs_about(content, "oid")} if _is_large(name) else {}),
            }
            for name, content in sorted(self.repositories[repo].files.items())
        ]
        return self._refusal(request, repo) or _json(files)

    def _preupload(self, request: Request, repo: str) -> Reply:
        refusal = self._refusal(request, repo, writes=True)
        if refusal is not None:
            return refusal
        there = self.repositories[repo].files
        answers = []
        for file in json.loads(request.body)["files"]:
            name, large = file["path"], _is_large(file["path"])
            hashed = _sha256 if large else _git_hash
            oid = {"oid": hashed(there[name])} if name in there else {}
            mode = "lfs" if large else "regular"
            answers.append({"path": name, "uploadMode": mode, "shouldIgnore": False, **oid})
        return _json({"files": answers})

    def _commit(self, request: Request, repo: str) -> Reply:
        refusal = self._refusal(request, repo, writes=True)
        if refusal is not None:
            return refusal
        known = self.repositories[repo]
        files = dict(known.files)
        for line in request.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.large:
                    return _error(400, f"LFS object {value['oid']} was never uploaded")
                files[value["path"]] = self.large[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        known.files = files
        known.commits.append(_commit_hash(repo, len(known.commits)))
        url = f"{self.url}/{repo}/commit/{known.head}"
        return _json({"success": True, "commitUrl": url, "commitOid": known.head, "hookOutput": ""})

    def _lfs_batch(self, request: Request, repo: str) -> Reply:
        refusal = self._refusal(request, repo, writes=True)
        if refusal is not None:
            return refusal
        objects = []
        for wanted in json.loads(request.body)["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            about: dict[str, object] = {"oid": oid, "size": size}
            if oid not in self.large:
                place = f"{self.other_url}/storage/{oid}?signature=s"
                count = -(-size // PART_BYTES)
                parts = {f"{number:05}": f"{place}&part={number}" for number in range(1, count + 1)}
                header = {"chunk_size": str(PART_BYTES), **parts} if size > PART_BYTES else {}
                verify = f"{self.url}/{repo}.git/info/lfs/objects/verify"
                about["actions"] = {"upload": {"href": place, "header": header}, "verify": {"href": verify}}
            objects.append(about)
        return _json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, request: Request, oid: str) -> Reply:
        if "part" in request.query:
            self._parts[oid, int(request.query["part"])] = request.body
            return Reply(headers={"ETag": hashlib.md5(request.body).hexdigest()})
        return self._store(oid, request.body)

    def _lfs_complete(self, request: Request, oid: str) -> Reply:
        numbers = [part["partNumber"] for part in json.loads(request.body)["parts"]]
        return self._store(oid, b"".join(self._parts.pop((oid, number)) for number in numbers))

    def _store(self, oid: str, content: bytes) -> Reply:
        if _sha256(content) != oid:
            return Reply(400, b"XAmzContentSHA256Mismatch")
        self.large[oid] = content
        return Reply()

    def _lfs_verify(self, request: Request, repo: str) -> Reply:
        wanted = json.loads(request.body)
        content = self.large.get(wanted["oid"], b"")
        there = len(content) == wanted["size"]
        return self._refusal(request, repo, writes=True) or (Reply() if there else _error(404, "Not uploaded"))

    def _lfs_get(self, request: Request, oid: str) -> Reply:
        return _ranged(request, self.large[oid], {"ETag": f'"{oid}"'})

    def _resolve(self, request: Request, repo: str, revision: str, name: str) -> Reply:
        refusal = self._refusal(request, repo)
        if refusal is not None:
            return refusal
        known = self.repositories[repo]
        commit = {"X-Repo-Commit": known.head}
        if name not in known.files:
            return _error(404, "Entry not found", "EntryNotFound", commit)
        content = known.files[name]
        if not _is_large(name):
            return _ranged(request, content, {**commit, "ETag": f'"{_git_hash(content)}"'})
        oid = _sha256(content)
        self.large[oid] = content
        linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        return Reply(302, headers={**commit, **linked, "Location": f"{self.other_url}/storage/{oid}?signature=s"})


def _ranged(request: Request, content: bytes, headers: dict[str, str]) -> Reply:
    match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if match is None:
        return Reply(200, content, headers)
    begin = int(match[1])
    span = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
    return Reply(206, content[begin:], {**headers, **span})


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _error(status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Reply:
    told = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
    return Reply(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **told})


def _is_large(name: str) -> bool:
    return name.endswith(_LFS_NAMES)


def _lfs_about(content: bytes, hash_name: str) -> dict[str, object]:
    return {hash_name: _sha256(content), "size": len(content), "pointerSize": 134}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _commit_hash(repo: str, number: int) -> str:
    return hashlib.sha1(f"{repo} {number}".encode()).hexdigest()
