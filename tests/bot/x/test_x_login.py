"""Logging in by OAuth 2.0, and refresh tokens that work once: real files, a local X, a process that is killed."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from bot import config
from bot.errors import CommandError, SettingsError
from bot.settings import Settings
from bot.x import access
from bot.x.budget import Budget
from bot.x.connection import X
from bot.x.errors import Refused
from bot.x.login import SCOPES
from bot.x.token_file import TokenFile, TokenPair
from storage.database import Writer
from tests.running import ROOT, Home
from tests.servers.faulty_http import Request
from tests.servers.x import LocalX, Trouble

REFRESHES = """
import asyncio, sys
from bot import config
from bot.x import access
import os
settings = config.load(None, os.environ)
print("begun", flush=True)
token = asyncio.run(access.login_of(settings).access_token())
print(token.get_secret_value(), flush=True)
"""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def environ(x: LocalX, data: Path, port: int = 8723) -> dict[str, str]:
    return {
        "MYNAH_DATA_DIR": str(data),
        "MYNAH_X__BASE_URL": x.url,
        "MYNAH_X__LOGIN_PORT": str(port),
        "X_CLIENT_ID": x.door.client_id,
        "X_CLIENT_SECRET": x.door.client_secret,
    }


def settings_of(x: LocalX, data: Path, port: int = 8723) -> Settings:
    return config.load(None, environ(x, data, port))


def logged_in(x: LocalX, data: Path, *, minutes_left: float) -> TokenFile:
    """As after a login some time ago."""
    account = x.world.named("mynah") or x.world.add_account("mynah")
    pair = x.door.token_pair(account.id, SCOPES)
    file = TokenFile(data / access.TOKEN_FILE)
    file.write(
        TokenPair(
            access_token=SecretStr(pair.access_token),
            refresh_token=SecretStr(pair.refresh_token),
            expires_at=datetime.now(UTC) + timedelta(minutes=minutes_left),
            account_id=account.id,
        )
    )
    return file


def exchanges(x: LocalX) -> list[Request]:
    return [request for request in x.journal if request.path == "/2/oauth2/token"]


async def test_login_comes_back_through_the_browser(x: LocalX, tmp_path: Path, free_port: int) -> None:
    x.door.consent = x.world.add_account("mynah").id
    settings = settings_of(x, tmp_path, free_port)
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    try:
        connection = X(settings, store, Budget(settings, store))
        begun = await connection.begin_login()
        async with connection.awaiting_browser(begun) as done, ClientSession() as browser:
            async with browser.get(begun.url) as page:
                assert (page.status, "@mynah is logged in" in await page.text()) == (200, True)
            assert await done == "mynah"
        doors = {door.name: door.account for door in await connection.doors() if door.is_set}
    finally:
        await store.close()
    assert doors == {"login (OAuth 2.0)": "mynah"}
    file = tmp_path / access.TOKEN_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "x-login.json").exists()
    assert await access.own_account(settings) == x.door.consent


async def test_check_learns_whose_login_it_is_where_x_did_not_say(x: LocalX, tmp_path: Path) -> None:
    file = logged_in(x, tmp_path, minutes_left=60)
    pair, settings = file.read(), settings_of(x, tmp_path)
    assert pair is not None
    file.write(pair.model_copy(update={"account_id": ""}))
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    try:
        await X(settings, store, Budget(settings, store)).doors()
    finally:
        await store.close()
    assert await access.own_account(settings) == pair.account_id


@pytest.mark.parametrize(("is_right", "problem"), [(True, ""), (False, "does not accept the token")])
async def test_check_looks_an_account_up_with_the_apps_token(
    x: LocalX, tmp_path: Path, is_right: bool, problem: str
) -> None:
    given = {"X_BEARER_TOKEN": x.door.app_token if is_right else "wrong", "X_CONSUMER_KEY": "key"}
    settings = config.load(None, environ(x, tmp_path) | given)
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    try:
        app, keys, _ = await X(settings, store, Budget(settings, store)).doors()
    finally:
        await store.close()
    assert app.is_set and (problem in app.problem if problem else app.problem == "")
    assert keys.problem == "X_CONSUMER_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET not set; all four are needed"
    assert [request.path for request in x.journal] == ["/2/users/by/username/XDevelopers"]


def test_check_that_fails_is_told_by_the_exit_status(tmp_path: Path, free_port: int) -> None:
    away = {"X_BEARER_TOKEN": "token", "MYNAH_X__BASE_URL": f"http://127.0.0.1:{free_port}"}
    done = Home(tmp_path / "data", tmp_path, away).run("x", "check")
    assert "app token (X_BEARER_TOKEN): X cannot be reached." in done.stdout
    assert (done.returncode, done.stderr) == (1, "mynah: This does not work: app token (X_BEARER_TOKEN).\n")


async def test_login_is_finished_by_the_pasted_address(x: LocalX, tmp_path: Path) -> None:
    x.door.consent = x.world.add_account("mynah").id
    settings = settings_of(x, tmp_path)
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    try:
        connection = X(settings, store, Budget(settings, store))
        begun = await connection.begin_login()
        async with ClientSession() as browser, browser.get(begun.url, allow_redirects=False) as page:
            address = page.headers["Location"]
        with pytest.raises(CommandError, match="another login"):
            await connection.finish_login(address.replace("state=", "state=other"))
        assert urlsplit(address).hostname == "127.0.0.1"
        assert await connection.finish_login(address) == "mynah"
        with pytest.raises(CommandError, match="No login has begun"):
            await connection.finish_login(address)
    finally:
        await store.close()


async def test_tokens_are_renewed_once_however_many_ask(x: LocalX, tmp_path: Path) -> None:
    file = logged_in(x, tmp_path, minutes_left=5)
    settings = settings_of(x, tmp_path)
    tokens = await asyncio.gather(*(access.login_of(settings).access_token() for _ in range(8)))
    assert len({token.get_secret_value() for token in tokens}) == 1
    assert len(exchanges(x)) == 1
    pair = file.read()
    assert pair is not None
    assert pair.access_token == tokens[0]
    assert await access.own_account(settings) == pair.account_id != ""
    assert file.path.stat().st_mode & 0o777 == 0o600


async def test_cancelled_renewal_keeps_the_pair_that_was_sent(x: LocalX, tmp_path: Path) -> None:
    file = logged_in(x, tmp_path, minutes_left=-5)
    settings = settings_of(x, tmp_path)
    x.break_with(Trouble("POST", "/2/oauth2/token", delay_s=0.3))
    asking = asyncio.create_task(access.login_of(settings).access_token())
    await asyncio.sleep(0.15)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.6)
    pair = file.read()
    assert pair is not None
    assert await access.login_of(settings).access_token() == pair.access_token
    assert len(exchanges(x)) == 1


async def test_login_that_was_used_up_elsewhere_lasts_until_its_end_and_then_says_so(x: LocalX, tmp_path: Path) -> None:
    file = logged_in(x, tmp_path, minutes_left=5)
    settings = settings_of(x, tmp_path)
    x.door.revoke_all()
    pair = file.read()
    assert pair is not None
    assert await access.login_of(settings).access_token() == pair.access_token
    file.write(pair.model_copy(update={"expires_at": datetime.now(UTC)}))
    with pytest.raises(Refused, match="does not accept this login") as refused:
        await access.login_of(settings).access_token()
    assert "mynah x login" in refused.value.hint


async def test_renewal_whose_answer_is_lost_is_asked_for_once_more_and_then_said_in_a_sentence(
    x: LocalX, tmp_path: Path
) -> None:
    file = logged_in(x, tmp_path, minutes_left=5)
    old, login = file.read(), access.login_of(settings_of(x, tmp_path))
    assert old is not None
    x.break_with(Trouble("POST", "/2/oauth2/token", lose_answer=True))
    for _ in range(3):
        assert await login.access_token() == old.access_token
    assert len(exchanges(x)) == 2
    left = file.read()
    assert left is not None
    file.write(left.model_copy(update={"expires_at": datetime.now(UTC)}))
    for _ in range(3):
        with pytest.raises(Refused, match="does not accept this login"):
            await login.access_token()
    assert len(exchanges(x)) == 2


def test_kill_before_x_hears_leaves_the_old_pair_and_a_kill_after_leaves_the_new_one(x: LocalX, tmp_path: Path) -> None:
    file = logged_in(x, tmp_path, minutes_left=-5)
    for trouble in (Trouble("POST", "/2/oauth2/token", cut_after_bytes=1), None):
        if trouble is not None:
            x.break_with(trouble)
        process = subprocess.Popen(
            [sys.executable, "-c", REFRESHES], cwd=ROOT, env=environ(x, tmp_path), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if trouble is not None:
            assert trouble.met.wait(20)
        else:
            assert process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    pair = file.read()
    assert pair is not None
    assert pair.expires_at > datetime.now(UTC) + timedelta(hours=1)
    again = asyncio.run(access.login_of(settings_of(x, tmp_path)).access_token())
    assert again == pair.access_token
    assert len(exchanges(x)) == 1


def test_broken_file_is_told_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "x-token.json").write_text('{"access_token": "secret-of-mine"}')
    with pytest.raises(SettingsError, match=r"cannot be read") as error:
        TokenFile(tmp_path / "x-token.json").read()
    assert "secret-of-mine" not in f"{error.value}{error.value.__cause__}"
