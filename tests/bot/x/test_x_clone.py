"""`/clone @handle source=x`, from the question to the voice: real processes, a local X, a tiny base."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage import clones, consents, personas, posts, x_collections, x_ledger
from storage.errors import StorageError
from storage.x_collections import Collection
from tests.invented import invented_posts
from tests.running import ROOT, Home, Mynah, until
from tests.servers import x_shapes as shapes
from tests.servers.x import LocalX, Trouble

COUNT = 3_247


@pytest.fixture
def on_x(home: Home, x: LocalX) -> Home:
    settings = {
        "X_BEARER_TOKEN": x.door.app_token,
        "MYNAH_X__BASE_URL": x.url,
        "MYNAH_X__TRAIN_ON_API_CONTENT": "true",
        "MYNAH_X__BUDGET_DAY": "50",
        "MYNAH_X__BUDGET_MONTH": "50",
        "MYNAH_CONSENT__HANDLES": "any",
    }
    return Home(home.data, home.base, {**home.settings, **settings}, is_warm=home.is_warm)


def publish(x: LocalX, count: int, handle: str = "ada") -> None:
    author = x.world.named(handle) or x.world.add_account(handle)
    now = datetime.now(UTC)
    for n, text in enumerate(invented_posts(count)):
        x.world.publish(author, text, now - timedelta(hours=1, minutes=n))


def collection(home: Home) -> Collection | None:
    with home.database() as db:
        persona = personas.find(db, "ada")
        return None if persona is None else x_collections.newest(db, persona.id)


def page_reads(x: LocalX) -> Counter[str]:
    """The timeline pages that were answered, by what asked for them."""
    asked = [request.query for request in x.journal if request.path.endswith("/tweets")]
    return Counter(query.get("pagination_token", query.get("until_id", "first")) for query in asked)


def set_spent(db: Database) -> Decimal:
    return Decimal(x_ledger.spent(db, datetime.now(UTC)).month) / 1_000_000


def limited(after_s: int, times: int = 1) -> Trouble:
    reset = str(math.ceil(time.time()) + after_s)
    headers = {"x-rate-limit-limit": "900", "x-rate-limit-remaining": "0", "x-rate-limit-reset": reset}
    return Trouble("GET", "/tweets", reply=shapes.too_many(headers), times=times)


@pytest.mark.timeout(240)
def test_timeline_is_collected_through_limits_and_a_kill_with_no_page_paid_twice(
    on_x: Home, x: LocalX, tmp_path: Path
) -> None:
    publish(x, COUNT)
    command = [sys.executable, "-m", "bot.cli", "clone", "@ada", "--source", "x", "--newest", "90", "--yes"]
    with (tmp_path / "out").open("w+") as out:
        first = subprocess.Popen(command, cwd=ROOT, env=on_x.environ(), stdout=out, stderr=subprocess.STDOUT)
        try:
            until(lambda: has_read(on_x, 300) or None)
            short = limited(after_s=2)
            x.break_with(short)
            assert short.met.wait(30)
            until(lambda: has_read(on_x, 700) or None)
            limit = limited(after_s=60)
            x.break_with(limit)
            assert limit.met.wait(30)
            until(lambda: (tmp_path / "out").read_text().count("It goes on by itself") == 2 or None)
        finally:
            first.kill()
            first.wait()
    half = collection(on_x)
    assert half is not None
    assert 700 <= half.read < 3_200
    with Mynah.on_pipes(on_x) as mynah:
        mynah.type("/train watch\n")
        until(lambda: state(on_x) == "ready" or None, 150)
    whole = collection(on_x)
    assert whole is not None
    assert (whole.read, whole.new_posts, whole.is_complete) == (3_200, 3_200, True)
    refused = 2
    assert sum(page_reads(x).values()) - refused == 32
    with on_x.database() as db:
        persona = personas.find(db, "ada")
        assert persona is not None
        assert posts.count(db, persona.id) == 3_200
        assert set_spent(db) == x.world.spent() == Decimal("16.01")
        consent = consents.newest(db, persona.id)
        assert consent is not None
        assert (consent.ground, consent.source) == ("policy", "x_api")
        assert persona.source == "x_api"


def state(home: Home) -> str:
    with home.database() as db:
        persona = personas.find(db, "ada")
        assert persona is not None
        return clones.of_persona(db, persona.id)[0].state


def has_read(home: Home, count: int) -> bool:
    if not (home.data / "mynah.db").is_file():
        return False
    try:
        under_way = collection(home)
    except StorageError:  # its schema is just being made
        return False
    return under_way is not None and under_way.read >= count


def test_clone_tells_terms_and_price_and_needs_a_yes(on_x: Home, x: LocalX) -> None:
    publish(x, COUNT)
    home = Home(on_x.data, on_x.base, {**on_x.settings, "MYNAH_X__DEPTH": "5000"})
    refused = home.run("clone", "@ada", "--source", "x")
    assert refused.returncode == 1
    assert "@ada on X: 3,247 posts ≈ $16.24, budget left $49.99." in refused.stderr
    assert "archive" in refused.stderr
    assert [request.path for request in x.journal] == ["/2/users/by/username/ada"]
