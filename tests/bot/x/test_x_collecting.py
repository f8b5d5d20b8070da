"""Collecting for a clone where X says no, not now, or nothing more than is new: the bot as it runs, on a local X."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlite_utils import Database

from bot import config
from bot.app import App, running
from bot.cloning import Update
from bot.errors import CommandError
from bot.gateways import families
from bot.gateways.line import Line
from bot.requests import CloneRequest, RefreshRequest
from bot.x import access, collecting
from bot.x.errors import AccountUnreadable
from bot.x.login import SCOPES
from bot.x.patience import Patience
from bot.x.token_file import TokenFile, TokenPair
from storage import clones, personas, x_collections
from storage.x_collections import Collection
from tests.running import Home
from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Reply
from tests.servers.x import LocalX, Trouble
from tests.servers.x_world import Account

READ, USER = Decimal("0.005"), Decimal("0.01")
PATIENCE_S = 20


@dataclass
class Asked:
    """Says yes, and keeps the questions."""

    questions: list[str] = field(default_factory=list)

    async def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return True


@pytest.fixture
def account(x: LocalX) -> Account:
    return x.world.add_account("ada")


@pytest.fixture
async def app(ada: Home, x: LocalX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """A bot in which @ada speaks; it is impatient with an X that is out of order."""
    monkeypatch.setattr(collecting, "_waiting", lambda tell: Patience(longest_wait_s=0.5, tries=1))
    file = tmp_path / "config.toml"
    file.write_text('[x]\ntrain_on_api_content = true\n\n[consent]\nhandles = "any"\n')
    on_x = {"X_BEARER_TOKEN": x.door.app_token, "MYNAH_X__BASE_URL": x.url}
    async with running(config.load(file, ada.environ() | on_x)) as app:
        yield app


def publish(x: LocalX, author: Account, count: int, hours_ago: int = 1) -> None:
    began = datetime.now(UTC) - timedelta(hours=hours_ago)
    for n in range(count):
        x.world.publish(author, f"post {n} of {author.handle}", began + timedelta(seconds=n))


async def heard(updates: asyncio.Queue[Update], handle: str, state: str) -> Update:
    """The next update that tells that a clone is in a state."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            update = await updates.get()
            if (update.handle, update.clone.state) == (handle, state) and update.event is None:
                return update


def collected_before(db: Database, account: Account, newest_id: str) -> None:
    """As after `/clone @ada source=x`, a while ago."""
    persona = personas.find(db, "ada")
    assert persona is not None
    clone = clones.of_persona(db, persona.id)[0]
    read = Collection(account.id, "ada", "", 3, "policy", 3200, newest_id=newest_id, read=3, pages=1, is_complete=True)
    with db.atomic():
        x_collections.begin(db, clone.id, persona.id, read)
        x_collections.end(db, clone.id)


def timelines(x: LocalX) -> list[dict[str, str]]:
    names = ("since_id", "max_results", "pagination_token", "until_id")
    asked = [dict(request.query) for request in x.journal if request.path.endswith("/tweets")]
    return [{name: query[name] for name in names if name in query} for query in asked]


async def test_clone_is_off_until_the_owner_turns_it_on_and_is_told_the_terms(
    app: App, x: LocalX, account: Account
) -> None:
    publish(x, account, 5)
    file, others = app.live.as_settings().config_file, {"MYNAH_X__BASE_URL": x.url}
    assert file is not None
    await asyncio.to_thread(file.write_text, "[x]\n")
    assert "2025-06-04" not in app.live.reload(others)
    with pytest.raises(CommandError) as refused:
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=Asked()))
    for said in ("2025-06-04", "x.train_on_api_content = true", "archive"):
        assert said in str(refused.value)
    assert x.journal == []
    await asyncio.to_thread(file.write_text, "[x]\ntrain_on_api_content = true\n")
    told = app.live.reload(others)
    assert told.startswith("config.toml was read; changed: x.train_on_api_content. Mind: X's developer agreement")
    assert "2025-06-04" in told


async def test_account_that_logged_in_may_be_collected_and_no_other(
    ada: Home, x: LocalX, account: Account, tmp_path: Path
) -> None:
    publish(x, account, 3)
    publish(x, x.world.add_account("bea"), 3)
    file = tmp_path / "config.toml"
    file.write_text("[x]\ntrain_on_api_content = true\n")
    pair = x.door.token_pair(account.id, SCOPES)
    TokenFile(ada.data / access.TOKEN_FILE).write(
        TokenPair(
            access_token=SecretStr(pair.access_token),
            expires_at=datetime.now(UTC) + timedelta(hours=2),
            account_id=account.id,
        )
    )
    asked = Asked()
    async with running(config.load(file, ada.environ() | {"MYNAH_X__BASE_URL": x.url})) as app:
        with pytest.raises(CommandError, match="Only the connected account may be collected here"):
            await app.commands.clone(CloneRequest("bea", None, source="x", ask=asked))
        assert not asked.questions
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=asked))
        await app.commands.train_cancel("ada")
    assert "@ada on X: 3 posts" in asked.questions[0]


async def test_refresh_reads_and_pays_for_what_is_new_alone(app: App, x: LocalX, account: Account) -> None:
    publish(x, account, 3, hours_ago=30)
    newest = max(x.world.posts, key=int)
    await app.store.run(collected_before, account, newest)
    publish(x, account, 2)
    asked = Asked()
    async with app.cloning.listen() as updates:
        await app.commands.refresh(RefreshRequest("ada", ask=asked))
        await heard(updates, "ada", "training")
        await app.commands.train_cancel("ada")
    assert timelines(x) == [{"since_id": newest, "max_results": "100"}]
    assert x.world.spent() == USER + 2 * READ
    (question,) = asked.questions
    assert "X's developer agreement, in force since 2025-06-04" in question
    assert "@ada on X: up to 100 newer posts ≈ $0.50 at most, budget left $4.99." in question
    family = families.of("budget")
    assert family is not None
    told = await family.do(app.commands, Line("budget"), asked)
    assert told.lines == (
        "Today (UTC) $0.02 of $5.00, this month $0.02 of $25.00; $4.98 may be spent now.",
        "  2 posts read (collecting), 1 requests: $0.010",
        "  1 accounts looked up (look-up), 1 requests: $0.010",
    )


async def test_collection_that_fails_says_why_and_goes_on_when_it_is_asked_for_again(
    app: App, x: LocalX, account: Account
) -> None:
    publish(x, account, 230)
    x.break_with(Trouble("GET", "/tweets"))  # nothing goes wrong with the first page
    x.break_with(Trouble("GET", "/tweets", reply=shapes.unavailable()))
    async with app.cloning.listen() as updates:
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=Asked()))
        failed = (await heard(updates, "ada", "failed")).clone
        assert f"{failed.error_message} {failed.error_hint}" == "X is out of order (status 503). Try again later."
        asked = Asked()
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=asked))
        await heard(updates, "ada", "training")
        await app.commands.train_cancel("ada")
    assert "@ada on X: 130 of 230 posts ≈ $0.65 at most" in asked.questions[0]
    assert x.world.spent() == USER + 230 * READ  # X charges who is looked up twice on a day once
    assert len(timelines(x)) == 1 + 1 + 2


async def test_used_up_credits_stop_the_clone_and_the_owner_is_told(app: App, x: LocalX, account: Account) -> None:
    publish(x, account, 230)
    x.world.credits = USER + 100 * READ
    async with app.cloning.listen() as updates, app.commands.notices.listen() as notices:
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=Asked()))
        failed = (await heard(updates, "ada", "failed")).clone
        notice = await notices.get()
    assert failed.error_message == notice.message == "The credits of X's API are used up."
    assert len(timelines(x)) == 2


@pytest.mark.parametrize(
    ("trait", "sentence", "paid"),
    [
        ({"protected": True}, "The posts of @ada are protected. Only their owner has them.", USER),
        ({"suspended": True}, "X has suspended @ada. Its posts cannot be had now.", Decimal()),
        ({"gone": True}, "There is no @ada on X. Check the spelling; the account may be renamed or gone.", Decimal()),
        ({"handle": "ada_new"}, "@ada is called @ada_new on X now. Ask for @ada_new.", USER),
    ],
)
async def test_account_that_cannot_be_read_is_told_by_its_own_sentence_before_anything_is_in_line(
    app: App, x: LocalX, account: Account, trait: dict[str, object], sentence: str, paid: Decimal
) -> None:
    await app.store.run(collected_before, account, "7")
    for name, value in trait.items():
        setattr(account, name, value)
    with pytest.raises(AccountUnreadable) as refused:
        await app.commands.clone(CloneRequest("ada", None, source="x", ask=Asked()))
    assert str(refused.value).startswith(sentence)
    assert await app.commands.train_status() == []
    assert x.world.spent() == paid
    assert round((await app.commands.budget.money()).day_spent, 6) == float(paid)


async def test_others_go_on_while_x_wants_to_be_left_alone(
    app: App, x: LocalX, account: Account, tmp_path: Path
) -> None:
    publish(x, account, 130)
    x.break_with(Trouble("GET", "/tweets"))
    x.break_with(Trouble("GET", "/tweets", reply=limited(timedelta(seconds=5))))
    endless = tmp_path / "endless.csv"
    endless.write_text(f"text\n{'a' * 100_001}\n")  # of which only the import takes offence
    async with app.cloning.listen() as updates:
        await app.commands.clone(CloneRequest("ada", None, source="x", requested_by="ann", ask=Asked()))
        waits = await heard(updates, "ada", "queued")
        while not waits.note:
            waits = await heard(updates, "ada", "queued")
        await app.commands.clone(CloneRequest("bea", endless, requested_by="bob"))
        await heard(updates, "bea", "failed")
        assert [clone.handle for clone in await app.commands.train_status()] == ["ada"]
        await heard(updates, "ada", "training")
        await app.commands.train_cancel("ada")
    assert "It goes on by itself at " in waits.note
    assert x.world.spent() == USER + 130 * READ
    history = await app.store.run(clones.history, waits.clone.id)
    assert [move.to_state for move in history][:5] == ["queued", "collecting", "queued", "collecting", "training"]


def limited(after: timedelta) -> Reply:
    reset = str(int((datetime.now(UTC) + after).timestamp()))
    return shapes.too_many({"x-rate-limit-remaining": "0", "x-rate-limit-reset": reset})
