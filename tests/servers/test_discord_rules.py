"""The local Discord's own rules, without a client: form errors, buckets, ids, what a person can send."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.conftest import Place
from tests.servers.discord import schema
from tests.servers.discord.clock import Clock, Snowflakes
from tests.servers.discord.limits import check_message, check_webhook_name
from tests.servers.discord.ratelimits import RateLimits, Rule
from tests.servers.discord.things import DiscordError, Json

described = pytest.mark.skipif(schema.absent() is not None, reason=str(schema.absent()))


def ask(place: Place, method: str, path: str, body: object, token: str | None = None) -> tuple[int, Json]:
    request = urllib.request.Request(
        place.server.api_url + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bot {token or place.server.token}"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as no:
        with no:
            return no.code, json.loads(no.read())


@described
@pytest.mark.parametrize(
    ("body", "place_of_error"),
    [
        ({"content": 5}, ["content"]),
        ({"content": "x", "embeds": [{"title": 5}]}, ["embeds", "0", "title"]),
        ({"content": "x", "nonce": "n" * 26}, ["nonce"]),
        (
            {
                "content": "x",
                "components": [
                    {"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "c" * 101, "label": "l"}]}
                ],
            },
            ["components", "0", "components", "0", "custom_id"],
        ),
    ],
)
def test_a_form_that_breaks_discords_description_is_refused_at_its_place(
    place: Place, body: Json, place_of_error: list[str]
) -> None:
    status, answer = ask(place, "POST", f"/channels/{place.channel.id}/messages", body)
    assert (status, answer["code"]) == (400, 50035)
    where = answer["errors"]
    for step in place_of_error:
        where = where[step]
    assert where["_errors"][0]["message"]
    assert place.ann.sees(place.channel) == []


def test_other_tokens_and_unknown_routes_are_refused(place: Place) -> None:
    path = f"/channels/{place.channel.id}/messages"
    assert ask(place, "POST", path, {"content": "x"}, token="wrong") == (
        401,
        {"code": 0, "message": "401: Unauthorized"},
    )
    assert ask(place, "POST", "/nests", {})[0] == 404
    assert [request.status for request in place.server.journal] == [401, 404]
    assert len(place.server.invalid_requests) == 1


@given(text=st.text(max_size=4_000))
def test_content_is_taken_up_to_two_thousand_characters(text: str) -> None:
    try:
        check_message({"content": text}, [], new=True)
    except DiscordError as no:
        assert len(text) > 2_000 or not text.strip()
        assert no.code in (50035, 50006)
    else:
        assert 0 < len(text) <= 2_000


@pytest.mark.parametrize("name", ["Clyde the second", "my DISCORD", "everyone", "here", " ", "x" * 81])
def test_names_that_webhooks_must_not_have(name: str) -> None:
    with pytest.raises(DiscordError):
        check_webhook_name("username", name)


@given(
    pauses_s=st.lists(st.floats(0, 3), max_size=60),
    rule=st.builds(Rule, st.integers(1, 6), st.floats(0.5, 5)),
)
def test_a_bucket_never_lets_more_through_than_its_rule(pauses_s: list[float], rule: Rule) -> None:
    clock = Clock()
    limits = RateLimits(clock, plain=rule)
    passed: list[float] = []
    for pause_s in pauses_s:
        clock.advance(pause_s)
        headers, refusal = limits.take("GET", "/users/@me", {})
        if refusal:
            assert 0 < refusal.retry_after_s <= rule.per_s
            assert headers["X-RateLimit-Remaining"] == "0"
        else:
            passed.append(clock.now_s())
    for first, later in zip(passed, passed[rule.requests :], strict=False):
        assert later - first > rule.per_s - 0.001


@given(pauses_s=st.lists(st.floats(0, 0.01), min_size=2, max_size=100))
def test_ids_never_repeat_and_grow_with_time(pauses_s: list[float]) -> None:
    clock = Clock()
    ids = Snowflakes(clock)
    made = []
    for pause_s in pauses_s:
        clock.advance(pause_s)
        made.append(int(ids.next()))
    assert made == sorted(set(made))
