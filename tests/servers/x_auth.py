"""Who asks the local X: app tokens, OAuth 1.0a signatures, OAuth 2.0 with PKCE and refresh tokens that work once.

Signatures are recomputed here from RFC 5849 §3.4, not with the library that made them. A client that reaches this
server through a proxy may have signed for the public host, so that is taken as well as the server's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, quote, unquote, urlencode

from tests.servers.faulty_http import Reply, Request
from tests.servers.x_shapes import as_json

PUBLIC_HOSTS = ("https://api.twitter.com", "https://api.x.com")
CODE_LIVES = timedelta(seconds=30)
TOKEN_LIVES = timedelta(hours=2)
_CLOCK_SKEW_S = 300


@dataclass(frozen=True)
class UserKeys:
    """OAuth 1.0a."""

    consumer_key: str
    consumer_secret: str
    access_token: str
    """Begins with the user's id."""
    access_token_secret: str


@dataclass(frozen=True)
class TokenPair:
    """OAuth 2.0."""

    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class Caller:
    user_id: str | None
    """None for an app without a user."""
    scopes: frozenset[str]


@dataclass(frozen=True)
class _Code:
    user_id: str
    scopes: frozenset[str]
    challenge: str
    is_hashed: bool
    expires_at: datetime


@dataclass
class Doorkeeper:
    clock: Callable[[], datetime]
    signing_clock: Callable[[], float] = time.time
    """What timestamps of signatures are held against."""
    app_token: str = field(default_factory=lambda: "AAAA" + secrets.token_hex(16))
    client_id: str = field(default_factory=lambda: secrets.token_hex(8))
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    consent: str | None = None
    """The user who says yes at the authorization page."""
    _keys: dict[str, UserKeys] = field(default_factory=dict)
    _access: dict[str, tuple[Caller, datetime]] = field(default_factory=dict)
    _refresh: dict[str, Caller] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _nonces: set[tuple[str, str]] = field(default_factory=set)

    def user_keys(self, user_id: str) -> UserKeys:
        consumer = next(iter(self._keys.values()), None)
        key = consumer.consumer_key if consumer else secrets.token_hex(12)
        secret = consumer.consumer_secret if consumer else secrets.token_hex(24)
        made = UserKeys(key, secret, f"{user_id}-{secrets.token_hex(16)}", secrets.token_hex(24))
        self._keys[made.access_token] = made
        return made

    def token_pair(self, user_id: str, scopes: str) -> TokenPair:
        """As if the user had just said yes."""
        return self._new_pair(Caller(user_id, frozenset(scopes.split())))

    def revoke_all(self) -> None:
        """Every token is dead from now on, as when a user takes the app's rights away."""
        self._keys.clear()
        self._access.clear()
        self._refresh.clear()
        self.app_token = secrets.token_hex(16)

    def caller(self, request: Request, own_url: str) -> Caller | None:
        """None for a token that is unknown or expired, and a signature that does not fit."""
        header = request.headers.get("authorization", "")
        if header.startswith("OAuth "):
            return self._signer(request, header, own_url)
        if request.token == self.app_token:
            return Caller(None, frozenset({"tweet.read", "users.read"}))
        caller, expires_at = self._access.get(request.token or "", (None, self.clock()))
        return caller if expires_at > self.clock() else None

    def authorize(self, request: Request) -> Reply:
        """The page where a user says yes: it sends them back with a code at once."""
        query = request.query
        if self.consent is None or query.get("client_id") != self.client_id or "code_challenge" not in query:
            return _refused("invalid_request", "Something went wrong. You weren’t able to give access to the App.")
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            self.consent,
            frozenset(query.get("scope", "").split()),
            query["code_challenge"],
            query.get("code_challenge_method") == "S256",
            self.clock() + CODE_LIVES,
        )
        back = urlencode({"state": query.get("state", ""), "code": code})
        return Reply(302, headers={"Location": f"{query['redirect_uri']}?{back}"})

    def token(self, request: Request) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        if not self._is_client(request, form):
            return _refused("invalid_client", "Missing or invalid client credentials.", 401)
        if form.get("grant_type") == "refresh_token":
            caller = self._refresh.pop(form.get("refresh_token", ""), None)
            if caller is not None:
                return self._granted(caller)
            return _refused("invalid_request", "Value passed for the token was invalid.")
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self.clock():
            return _refused("invalid_request", "Value passed for the authorization code was invalid.")
        if code.challenge != _challenge(form.get("code_verifier", ""), code.is_hashed):
            return _refused("invalid_request", "Value passed for the code verifier did not match the code challenge.")
        return self._granted(Caller(code.user_id, code.scopes))

    def revoke(self, request: Request) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        self._access.pop(form.get("token", ""), None)
        self._refresh.pop(form.get("token", ""), None)
        return as_json({"revoked": True})

    def _is_client(self, request: Request, form: Mapping[str, str]) -> bool:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {basic}" or form.get("client_id") == self.client_id

    def _granted(self, caller: Caller) -> Reply:
        pair = self._new_pair(caller)
        refresh = {"refresh_token": pair.refresh_token} if "offline.access" in caller.scopes else {}
        answer = {"token_type": "bearer", "expires_in": 7200, "access_token": pair.access_token}
        return as_json({**answer, "scope": " ".join(sorted(caller.scopes)), **refresh})

    def _new_pair(self, caller: Caller) -> TokenPair:
        pair = TokenPair(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        self._access[pair.access_token] = caller, self.clock() + TOKEN_LIVES
        if "offline.access" in caller.scopes:
            self._refresh[pair.refresh_token] = caller
        return pair

    def _signer(self, request: Request, header: str, own_url: str) -> Caller | None:
        given = {unquote(name): unquote(value) for name, value in re.findall(r'([\w%.~-]+)="([^"]*)"', header)}
        keys = self._keys.get(given.get("oauth_token", ""))
        nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
        stamp = int(nonce[0]) if nonce[0].isdecimal() else 0
        if keys is None or keys.consumer_key != given.get("oauth_consumer_key") or nonce in self._nonces:
            return None
        if abs(self.signing_clock() - stamp) > _CLOCK_SKEW_S or given.get("oauth_signature_method") != "HMAC-SHA1":
            return None
        signature = given.pop("oauth_signature", "")
        given.pop("realm", None)
        parameters = {**request.query, **given}
        hosts = (own_url, f"http://{request.headers.get('host', '')}", *PUBLIC_HOSTS)
        if not any(
            hmac.compare_digest(signature, sign(request.method, host + request.path, parameters, keys))
            for host in hosts
        ):
            return None
        self._nonces.add(nonce)
        return Caller(keys.access_token.partition("-")[0], frozenset({"tweet.read", "tweet.write", "users.read"}))


def sign(method: str, url: str, parameters: Mapping[str, str], keys: UserKeys) -> str:
    """The HMAC-SHA1 signature of a request whose body is not a form (RFC 5849 §3.4.1 and §3.4.2)."""
    pairs = sorted((_escaped(name), _escaped(value)) for name, value in parameters.items())
    normalized = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(_escaped(part) for part in (method, url, normalized))
    key = f"{_escaped(keys.consumer_secret)}&{_escaped(keys.access_token_secret)}"
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha1")).decode()


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")


def _challenge(verifier: str, is_hashed: bool) -> str:
    if not is_hashed:
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _refused(error: str, description: str, status: int = 400) -> Reply:
    return as_json({"error": error, "error_description": description}, status)
