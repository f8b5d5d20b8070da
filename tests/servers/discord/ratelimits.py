"""Buckets by route and top-level id, the global limit, and the 429s they end in (DISCORD.md, section 7).

The numbers were seen, not promised; a test sets others, or turns them off.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.servers.discord.clock import Clock
from tests.servers.discord.things import Json


@dataclass(frozen=True)
class Rule:
    """So many requests in so many seconds."""

    requests: int
    per_s: float


GLOBAL = Rule(50, 1.0)
MESSAGES, WEBHOOK, OLD_EDITS, PLAIN = Rule(5, 5.0), Rule(5, 2.0), Rule(3, 6.0), Rule(40, 2.0)
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/channels/{channel_id}/messages"): MESSAGES,
    ("PATCH", "/channels/{channel_id}/messages/{message_id}"): MESSAGES,
    ("POST", "/webhooks/{webhook_id}/{webhook_token}"): WEBHOOK,
    ("OLD", "/channels/{channel_id}/messages/{message_id}"): OLD_EDITS,
}
TOP_LEVEL = ("channel_id", "guild_id", "webhook_id", "webhook_token")


@dataclass(frozen=True)
class TooMany:
    """A 429."""

    retry_after_s: float
    scope: str = "user"
    code: int = 0
    via: bool = True
    """Without this header, discord.py takes a 429 for a ban by Cloudflare."""

    def headers(self) -> dict[str, str]:
        named = {"Retry-After": f"{self.retry_after_s:.3f}", "X-RateLimit-Scope": self.scope}
        if self.scope == "global":
            named["X-RateLimit-Global"] = "true"
        return named | ({"Via": "1.1 google"} if self.via else {})

    def body(self) -> Json:
        limited = {"message": "You are being rate limited.", "retry_after": self.retry_after_s}
        return limited | {"global": self.scope == "global"} | ({"code": self.code} if self.code else {})


@dataclass
class RateLimits:
    clock: Clock
    rules: dict[tuple[str, str], Rule] = field(default_factory=lambda: dict(RULES))
    plain: Rule = PLAIN
    """For every other route."""
    overall: Rule = GLOBAL
    enabled: bool = True
    _taken: dict[tuple[str, ...], deque[float]] = field(default_factory=dict)

    def take(self, method: str, template: str, ids: Mapping[str, str]) -> tuple[dict[str, str], TooMany | None]:
        """The headers of the bucket after one more request, and the refusal if it was full."""
        if not self.enabled:
            return {}, None
        exempt = template.startswith("/interactions") or template.startswith("/webhooks")
        if not exempt and (wait_s := self._wait_s(("global",), self.overall)):
            return {}, TooMany(wait_s, "global")
        rule = self.rules.get((method, template), self.plain)
        key = (method, template, *(ids.get(name, "") for name in TOP_LEVEL))
        wait_s = self._wait_s(key, rule)
        headers = self._headers(key, rule)
        return headers, TooMany(wait_s) if wait_s else None

    def take_old_edit(self, template: str, channel_id: str) -> TooMany | None:
        """For an edit of a message older than an hour."""
        rule = self.rules.get(("OLD", template))
        wait_s = self._wait_s(("OLD", channel_id), rule) if rule and self.enabled else 0.0
        return TooMany(wait_s, code=30046) if wait_s else None

    def _wait_s(self, key: tuple[str, ...], rule: Rule) -> float:
        """0 if there was room, which is taken; else the time until there is."""
        now_s, taken = self.clock.now_s(), self._taken.setdefault(key, deque())
        while taken and taken[0] <= now_s - rule.per_s:
            taken.popleft()
        if len(taken) >= rule.requests:
            return taken[0] + rule.per_s - now_s
        taken.append(now_s)
        return 0.0

    def _headers(self, key: tuple[str, ...], rule: Rule) -> dict[str, str]:
        taken = self._taken[key]
        after_s = taken[0] + rule.per_s - self.clock.now_s()
        return {
            "X-RateLimit-Limit": str(rule.requests),
            "X-RateLimit-Remaining": str(rule.requests - len(taken)),
            "X-RateLimit-Reset": f"{taken[0] + rule.per_s:.3f}",
            "X-RateLimit-Reset-After": f"{after_s:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256("/".join(key[:2]).encode()).hexdigest()[:32],
        }
