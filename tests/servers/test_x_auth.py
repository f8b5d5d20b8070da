"""How the local X knows who asks: signatures that fit, tokens that expire, refresh tokens that work once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession
from tweepy import Forbidden, Unauthorized

from tests.servers.plain_tweepy import plain_tweepy
from tests.servers.x import LocalX
from tests.servers.x_auth import UserKeys, sign
from tests.servers.x_clock import Clock
from tests.servers.x_world import Account

SCOPES = "tweet.read tweet.write users.read offline.access"
CALLBACK = "http://127.0.0.1:1/callback"


def test_signature_is_that_of_the_published_example() -> None:
    """From X's own page on creating a signature (developer.x.com, OAuth 1.0a, "Creating a signature")."""
    keys = UserKeys(
        "xvz1evFS4wEEPTGEFPHBog", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    )  # fmt: skip
    parameters = {
        "status": "Hello Ladies + Gentlemen, a signed OAuth request!",
        "include_entities": "true",
        "oauth_consumer_key": keys.consumer_key,
        "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1318622958",
        "oauth_token": keys.access_token,
        "oauth_version": "1.0",
    }
    url = "https://api.twitter.com/1.1/statuses/update.json"
    assert sign("POST", url, parameters, keys) == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="


async def test_signed_requests_are_those_of_the_account(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        assert (await client.get_me()).data.username == "ada"


@pytest.mark.parametrize("wrong", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"])
async def test_any_wrong_key_is_refused(x: LocalX, ada: Account, wrong: str) -> None:
    async with plain_tweepy(x, keys=replace(x.keys_for(ada), **{wrong: "guessed"})) as client:
        with pytest.raises(Unauthorized):
            await client.create_tweet(text="not mine")
    assert x.posted == []


async def test_signature_made_at_another_time_or_used_twice_is_refused(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x, keys=x.keys_for(ada)) as client:
        await client.get_me()
        used = x.journal[-1].headers["authorization"]
        async with (
            ClientSession() as session,
            session.get(f"{x.url}/2/users/me", headers={"Authorization": used}) as again,
        ):
            assert again.status == 401
        real = x.door.signing_clock
        x.door.signing_clock = lambda: real() + 3600
        with pytest.raises(Unauthorized):
            await client.get_me()


async def test_app_token_reads_and_has_no_account(x: LocalX, ada: Account) -> None:
    async with plain_tweepy(x) as client:
        assert (await client.get_user(username="ada")).data.username == "ada"
        with pytest.raises(Forbidden):
            await client.get_me(user_auth=False)


async def test_access_token_lives_two_hours(x: LocalX, ada: Account, clock: Clock) -> None:
    pair = x.door.token_pair(ada.id, SCOPES)
    async with plain_tweepy(x, bearer=pair.access_token) as client:
        await client.create_tweet(text="hello", user_auth=False)
        clock.time += timedelta(hours=2)
        with pytest.raises(Unauthorized):
            await client.create_tweet(text="again", user_auth=False)
    assert x.posted_by(ada) == ["hello"]


async def test_token_without_the_scope_cannot_post(x: LocalX, ada: Account) -> None:
    pair = x.door.token_pair(ada.id, "tweet.read users.read")
    async with plain_tweepy(x, bearer=pair.access_token) as client:
        with pytest.raises(Forbidden):
            await client.create_tweet(text="hello", user_auth=False)


async def test_refresh_token_works_once(x: LocalX, ada: Account) -> None:
    pair = x.door.token_pair(ada.id, SCOPES)
    form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token, "client_id": x.door.client_id}
    status, new = await token(x, form)
    used_status, used = await token(x, form)
    assert (status, new["expires_in"], new["token_type"]) == (200, 7200, "bearer")
    assert {new["access_token"], new["refresh_token"]}.isdisjoint({pair.access_token, pair.refresh_token})
    assert (used_status, used) == (
        400, {"error": "invalid_request", "error_description": "Value passed for the token was invalid."},
    )  # fmt: skip
    assert (await token(x, {**form, "refresh_token": str(new["refresh_token"])}))[0] == 200


async def test_login_with_pkce_gives_a_pair(x: LocalX, ada: Account) -> None:
    x.door.consent = ada.id
    verifier = secrets.token_urlsafe(48)
    code = await code_for(x, verifier)
    status, pair = await token(x, {"grant_type": "authorization_code", "code": code, "code_verifier": verifier})
    assert status == 200
    async with plain_tweepy(x, bearer=str(pair["access_token"])) as client:
        assert (await client.get_me(user_auth=False)).data.username == "ada"


async def test_code_is_refused_late_twice_and_with_another_verifier(x: LocalX, ada: Account, clock: Clock) -> None:
    x.door.consent = ada.id
    verifier = secrets.token_urlsafe(48)
    form = {"grant_type": "authorization_code", "code_verifier": verifier}
    once = await code_for(x, verifier)
    statuses = [(await token(x, {**form, "code": once}))[0], (await token(x, {**form, "code": once}))[0]]
    wrong = {**form, "code": await code_for(x, verifier), "code_verifier": "guessed"}
    statuses.append((await token(x, wrong))[0])
    late = await code_for(x, verifier)
    clock.time += timedelta(seconds=30)
    statuses.append((await token(x, {**form, "code": late}))[0])
    assert statuses == [200, 400, 400, 400]


async def test_stranger_gets_no_token(x: LocalX, ada: Account) -> None:
    pair = x.door.token_pair(ada.id, SCOPES)
    form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token, "client_id": "another"}
    assert (await token(x, form))[0] == 401


async def test_revoked_tokens_are_dead(x: LocalX, ada: Account) -> None:
    keys = x.keys_for(ada)
    x.door.revoke_all()
    async with plain_tweepy(x, keys=keys) as client:
        with pytest.raises(Unauthorized):
            await client.get_me()


async def code_for(x: LocalX, verifier: str) -> str:
    """What the callback of a login gets."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": x.door.client_id, "redirect_uri": CALLBACK, "scope": SCOPES,
        "state": "mine", "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    async with (
        ClientSession() as session,
        session.get(f"{x.url}/i/oauth2/authorize", params=query, allow_redirects=False) as answer,
    ):
        location = urlsplit(answer.headers["Location"])
    back = parse_qs(location.query)
    assert (location.geturl().startswith(CALLBACK), back["state"]) == (True, ["mine"])
    return back["code"][0]


async def token(x: LocalX, form: dict[str, str]) -> tuple[int, dict[str, object]]:
    form = {"client_id": x.door.client_id, "redirect_uri": CALLBACK, **form}
    async with ClientSession() as session, session.post(f"{x.url}/2/oauth2/token", data=form) as answer:
        body: dict[str, object] = await answer.json()
        return answer.status, body
