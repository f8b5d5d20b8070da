"""`/drafts`, `/persona mode` and `/reranker` as people type them, on the console and on the command line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from bot import config
from bot.app import App, running
from bot.errors import CommandError
from bot.gateways import families
from bot.gateways.command_line import parse
from bot.gateways.families import Answer
from storage import personas
from storage.outbox import Decided, decide
from tests.running import Home


@pytest_asyncio.fixture
async def app(home: Home) -> AsyncIterator[App]:
    async with running(config.load(None, home.environ()), make_clones=False) as app:
        yield app


async def typed(app: App, words: str, answer: bool = True) -> Answer:
    async def ask(question: str) -> bool:
        return answer

    line = parse(words)
    family = families.of(line.name)
    assert family is not None
    return await family.do(app.commands, line, ask)


async def drafted(app: App, *texts: str) -> list[str]:
    ada = await app.store.run(personas.ensure, "ada")
    due = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
    ids = []
    for at, text in enumerate(texts):
        post = Decided(ada.id, None, None, "dry", text, due + timedelta(days=at), text, "draft")
        id: str | None = await app.store.run(decide, post)
        ids.append(id or "")
    return ids


async def test_drafts_are_listed_and_decided_on(app: App) -> None:
    tea, rain, sea = await drafted(app, "tea at noon", "rain again", "the sea is near")
    assert (await typed(app, "/drafts")).lines == (
        f"{tea[-8:]}  2027-03-01 09:30  dry  @ada  draft: tea at noon",
        f"{rain[-8:]}  2027-03-02 09:30  dry  @ada  draft: rain again",
        f"{sea[-8:]}  2027-03-03 09:30  dry  @ada  draft: the sea is near",
    )
    assert "due: tea at noon" in (await typed(app, f"/drafts approve {tea[-8:]}")).lines[0]
    assert "rejected: rain again" in (await typed(app, f"/drafts reject {rain} not funny at all")).lines[0]
    assert "due: the sea is far" in (await typed(app, f'/drafts edit {sea} "the sea is far"')).lines[0]
    assert (await typed(app, "/drafts @ada")).lines == ("No drafts are waiting.",)


async def test_all_are_approved_only_after_a_question(app: App) -> None:
    await drafted(app, "tea at noon", "rain again")
    with pytest.raises(CommandError, match="Approving 2 drafts was not confirmed"):
        await typed(app, "/drafts approve all", answer=False)
    assert len((await typed(app, "/drafts approve all @ada")).rows) == 2


@pytest.mark.parametrize(
    "words",
    ["/drafts sing", "/drafts approve", "/drafts edit X", "/drafts edit X hi @ada", "/drafts reject", "/persona",
     "/persona mode", "/persona mode @ada never", "/persona allow @ada everything", "/persona allow nothing links",
     "/persona mode @ada review-first-0", "/reranker go", "/drafts approve 1"],
)  # fmt: skip
async def test_half_a_command_is_refused(app: App, words: str) -> None:
    await drafted(app, "tea at noon")
    with pytest.raises(CommandError) as refused:
        await typed(app, words)
    assert refused.value.hint


async def test_mode_is_shown_and_set(app: App) -> None:
    await drafted(app)
    assert (await typed(app, "/persona mode @ada")).lines == (
        "@ada: posts leave by themselves, if the guard lets them.",
    )
    assert (await typed(app, "/persona mode @ada review-first-3")).lines == (
        "@ada: a person approves the first 3 posts; 0 are approved. Drafts are given up after 72 hours.",
    )


async def test_what_a_persona_may_is_said_of_it_alone(app: App) -> None:
    await drafted(app)
    bea = await app.store.run(personas.ensure, "bea")
    ada = await app.store.run(personas.ensure, "ada")
    off = "posts may have no mentions, hashtags or links"
    assert (await typed(app, "/persona allow @ada hashtags,links")).lines == ("@ada: posts may have hashtags, links.",)
    assert (await typed(app, "/persona allow @bea")).lines[0].startswith(f"@bea: {off}, as guard.mentions")
    for text, reasons in (
        ("a good day #ships", (None, "hashtag")),
        ("see example.org now", (None, "link")),
        ("well @bob it is", ("mention", "mention")),
    ):
        verdicts = [await app.commands.guard.check(text, persona) for persona in (ada, bea)]
        assert tuple(verdict.reason for verdict in verdicts) == reasons
    assert (await typed(app, "/persona allow @ada nothing")).lines == (f"@ada: {off}.",)
    assert (await typed(app, "/persona allow @ada default")).rows[0].is_own is False


async def test_reranker_says_what_it_knows(app: App) -> None:
    assert (await typed(app, "/reranker show")).lines == (
        "0 choices, 0 of them approvals.",
        "Nothing was learned from them yet.",
    )


def test_command_line_takes_them_too(home: Home) -> None:
    done = home.run("drafts", "--json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")
