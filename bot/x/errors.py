"""What X may say instead of what was asked for, sorted by what is certain then.

XError
├── NotSent                the request surely never reached X
├── Refused                X said no (a complete 4xx): nothing was done
│   ├── RateLimited        … until a time
│   ├── OutOfCredits       … until the owner pays
│   └── Duplicate          … as this account has posted the same text before
├── Unclear                the request was sent, and what became of it is not known
├── Unreadable             X answered, and the answer lacks what it should hold
└── AccountUnreadable      an account is missing, suspended, protected or renamed

X's message texts may change at any time, so they are told apart by status and by the last part of a problem's type;
by its text only where nothing else differs. Nothing that X wrote is repeated in a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import MynahError

_LIMITS = ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour")
_SECONDS = re.compile(r"[0-9]{1,11}")


class Problem(BaseModel):
    """An error as X describes it, alone or in a list of `errors`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    title: str = ""
    detail: str = ""
    type: str = ""
    parameters: dict[str, list[str]] = {}
    """Those of the request that are wrong, with their values."""
    errors: tuple[Problem, ...] = ()

    @property
    def reason(self) -> str:
        """The last part of its type, which is the same on twitter.com and x.com."""
        return self.type.rstrip("/").rpartition("/")[2].lower()

    def says(self, words: str) -> bool:
        return words in f"{self.title} {self.detail}".lower()

    @classmethod
    def of(cls, body: bytes) -> Problem:
        """An empty one where the body is none of X's."""
        try:
            return cls.model_validate_json(body)
        except ValidationError:
            return cls()


class XError(MynahError):
    """X could not be asked, or did not do what it was asked."""


class NotSent(XError):
    """No connection: the request surely never reached X, and may be sent again."""


class Unclear(XError):
    """Sent, then cut off, timed out, redirected, answered with 5xx or something unreadable: it may have been done."""


class Unreadable(XError):
    """X's answer is not what its documentation promises."""


class Refused(XError):
    """X said no, and did nothing."""

    def __init__(self, status: int, problem: Problem, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.problem = problem

    @property
    def wrong_parameters(self) -> set[str]:
        return {name for each in (self.problem, *self.problem.errors) for name in each.parameters}


class RateLimited(Refused):
    """Asked too often; `until` is when X says it may go on, None where it does not say."""

    def __init__(self, problem: Problem, until: datetime | None) -> None:
        when = "later" if until is None else f"after {until:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(429, problem, f"X has been asked too often, and answers again {when}.", "Try again then.")
        self.until = until


class OutOfCredits(Refused):
    """Nothing more is paid for: the credits are used up, or the month's cap is reached."""


class Duplicate(Refused):
    """This account has posted the same text not long ago."""


class AccountUnreadable(XError):
    """An account's posts cannot be had; `why` says it for code, `new_handle` what a renamed one is called now."""

    def __init__(
        self,
        why: Literal["missing", "suspended", "protected", "renamed"],
        message: str,
        hint: str,
        new_handle: str | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.why = why
        self.new_handle = new_handle


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """A complete 4xx as an error."""
    problem = Problem.of(body)
    if status == 402:
        return OutOfCredits(
            402,
            problem,
            "The credits of X's API are used up.",
            "Buy credits in X's developer console, or wait for them.",
        )
    if status == 429 and problem.reason == "usage-capped":
        return OutOfCredits(
            429,
            problem,
            "X's cap for this billing cycle is reached.",
            "Wait for the next cycle, or raise the cap at X.",
        )
    if status == 429:
        return RateLimited(problem, latest_reset(headers))
    if status == 403 and problem.says("duplicate content"):
        return Duplicate(403, problem, "X refused the post, as this account has posted the same text not long ago.")
    return Refused(status, problem, *_sentences(status, problem))


def latest_reset(headers: Mapping[str, str]) -> datetime | None:
    """When the last of the limits that are used up starts over, by X's headers; None where none says."""
    resets = [
        int(reset)
        for limit in _LIMITS
        if _SECONDS.fullmatch(reset := headers.get(f"{limit}-reset", ""))
        and headers.get(f"{limit}-remaining", "0") == "0"
    ]
    return datetime.fromtimestamp(max(resets), UTC) if resets else None


def _sentences(status: int, problem: Problem) -> tuple[str, str]:
    """What a refusal means, and what to do about it."""
    reason = problem.reason
    if status == 401:
        return "X does not accept the token.", "It has expired, was revoked or is mistyped: give a new one."
    if status == 404:
        return "The X API has nothing at this address.", "Check the base URL of X."
    if status == 400:
        named = ", ".join(sorted(Refused(400, problem, "").wrong_parameters))
        return f"X calls the request wrong{f' ({named})' if named else ''}.", "This is a mistake in Mynah: report it."
    if problem.says("suspend") or "suspend" in reason:
        return "X has suspended the account or the app.", "Sign in at X to see why. Nothing is sent until then."
    if problem.says("too long"):
        return "X calls the post too long.", "Shorten it to 280 characters as X counts them."
    if reason == "not-authorized-for-resource":
        return "X allows an answer only where the account was mentioned or quoted.", ""
    if reason == "oauth1-permissions":
        return "The keys of the X app may only read.", "Give the app the right to write at X, then make new keys."
    if reason == "client-forbidden":
        return "The X app is not enrolled in a plan that allows this.", "Enrol it in X's developer console."
    if reason == "unsupported-authentication":
        return "X wants a user's token for this, not an app's.", "Give the keys of the account itself."
    return f"X does not permit this (status {status}).", "Look at the account and the app in X's developer console."
