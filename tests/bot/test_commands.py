"""What the commands do and refuse, in one process, with a real database and no clone made meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot import config
from bot.app import App, running
from bot.bundled import bundled_handle
from bot.errors import AlreadyRunning
from bot.gateways import figures
from bot.requests import CloneRequest, RefreshRequest, SayRequest
from storage.errors import MynahError
from tests.invented import invented_posts, write_csv, write_json
from tests.running import Home
from trainer.recipes import RECIPES


@pytest_asyncio.fixture
async def app(home: Home) -> AsyncIterator[App]:
    async with running(config.load(None, home.environ()), make_clones=False) as app:
        yield app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "posts.csv", "", invented_posts(3))


async def refusal(app: App, request: CloneRequest | SayRequest) -> str:
    with pytest.raises(MynahError) as refused:
        await (app.commands.clone(request) if isinstance(request, CloneRequest) else app.commands.say(request))
    assert refused.value.hint
    return str(refused.value)


async def test_clone_with_nothing_to_learn_from_is_refused(app: App, file: Path, tmp_path: Path) -> None:
    assert "needs a handle or a file" in await refusal(app, CloneRequest(None, None))
    assert "There are no posts of @ada here." in await refusal(app, CloneRequest("@Ada", None))
    assert f"There is no file {tmp_path}/none.csv." in await refusal(app, CloneRequest("ada", tmp_path / "none.csv"))
    assert "posts.csv does not say whose posts it holds." in await refusal(app, CloneRequest(None, file))
    assert await app.commands.train_status() == []


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 300, "dir/" * 2000 + "x", "posts.csv/inside", "\udcff.csv"])
async def test_path_that_no_file_can_have_is_refused(app: App, file: Path, path: str) -> None:
    assert await refusal(app, CloneRequest("ada", file.parent / path))


@pytest.mark.parametrize("handle", ["", "@", "a b", "x" * 65, "ev\x1b[31mil", "\udc80", "a/b", "ada'--"])
async def test_handle_that_nobody_can_have_is_refused(app: App, file: Path, handle: str) -> None:
    shown = await refusal(app, CloneRequest(handle or " ", file))
    assert "is not a handle" in shown
    assert "\x1b" not in shown
    assert await app.commands.train_status() == []


async def test_file_that_is_refused_leaves_nobody_behind(app: App, tmp_path: Path) -> None:
    (tmp_path / "posts.zip").write_bytes(b"not a zip at all")
    assert "posts.zip is no zip" in await refusal(app, CloneRequest("ada", tmp_path / "posts.zip"))
    with pytest.raises(MynahError, match=r"posts\.zip is no zip"):
        await app.commands.refresh(RefreshRequest(bundled_handle(), tmp_path / "posts.zip"))
    assert {model.handle for model in await app.commands.models()} == {bundled_handle()}
    assert [each.handle for each in await app.commands.people.consents()] == [bundled_handle()]
    assert (await app.commands.admin.stats()).personas == 1


async def test_unknown_recipe_lists_the_known_ones(app: App, file: Path) -> None:
    shown = await refusal(app, CloneRequest("ada", file, recipe="gpt5"))
    assert "There is no recipe 'gpt5'." in shown
    assert all(name in shown for name in RECIPES)


@pytest.mark.parametrize("seed", [-1, 2**32])
async def test_seed_that_no_training_takes_is_refused(app: App, file: Path, seed: int) -> None:
    assert f"The seed {seed} cannot be used." in await refusal(app, CloneRequest("ada", file, seed=seed))


@pytest.mark.parametrize("seed", [-1, 2**32])
async def test_seed_that_no_voice_takes_is_refused(app: App, seed: int) -> None:
    assert f"The seed {seed} cannot be used. It is a number from 0 to 4294967295." in await refusal(
        app, SayRequest(bundled_handle(), seed=seed)
    )


async def test_clone_takes_the_handle_that_its_file_names(app: App, tmp_path: Path) -> None:
    file = write_json(tmp_path / "tweets.json", "Ada_L", invented_posts(3))
    submitted = await app.commands.clone(CloneRequest(None, file))
    assert (submitted.handle, submitted.clone.version, submitted.clone.state) == ("ada_l", 1, "queued")
    assert submitted.clone.source_path == str(file)


async def test_heldout_can_be_asked_of_any_recipe(app: App, file: Path) -> None:
    plain = await app.commands.clone(CloneRequest("ada", file, "huggingtweets"))
    asked = await app.commands.clone(CloneRequest("bea", file, "huggingtweets", heldout=True))
    assert '"heldout":false' in plain.clone.recipe_json
    assert '"heldout":true' in asked.clone.recipe_json


async def test_line_takes_one_of_each_requester_in_turn(app: App, file: Path) -> None:
    for handle, requester in (("a1", "ann"), ("a2", "ann"), ("a3", "ann"), ("b1", "ben")):
        submitted = await app.commands.clone(CloneRequest(handle, file, requested_by=requester))
    assert submitted.ahead == 1
    assert [clone.handle for clone in await app.commands.train_status()] == ["a1", "b1", "a2", "a3"]


async def test_clone_in_line_is_not_taken_twice_and_can_be_cancelled(app: App, file: Path) -> None:
    await app.commands.clone(CloneRequest("ada", file))
    assert "Version 1 of @ada is already queued" in await refusal(app, CloneRequest("@ADA", file))

    await app.commands.train_cancel("@Ada")

    assert [(one.handle, one.state) for one in await app.commands.models() if not one.bundled] == [("ada", "cancelled")]
    assert (await app.commands.clone(CloneRequest("ada", file))).clone.version == 2


async def test_versions_explain_the_star_only_where_there_is_one(app: App, file: Path) -> None:
    await app.commands.clone(CloneRequest("ada", file))
    assert "*" not in "".join(figures.versions_table(await app.commands.versions("ada")))
    _, first, *_, legend = figures.versions_table(await app.commands.versions(bundled_handle()))
    assert "1*" in first and legend.startswith("* speaks for its persona")


async def test_cancel_says_where_there_is_nothing_to_cancel(app: App, file: Path) -> None:
    with pytest.raises(MynahError, match="Nothing is being trained"):
        await app.commands.train_cancel()
    await app.commands.clone(CloneRequest("ada", file))
    with pytest.raises(MynahError, match="@bea is not being trained"):
        await app.commands.train_cancel("bea")
    assert len(await app.commands.train_status()) == 1


@pytest.mark.parametrize("count", [-1, 0, 51, 10**9])
async def test_count_out_of_range_is_refused(app: App, count: int) -> None:
    assert f"{count} posts cannot be said at once. Ask for 1 to 50." == await refusal(
        app, SayRequest(bundled_handle(), "", count)
    )


async def test_unknown_handle_lists_the_known_ones(app: App, file: Path) -> None:
    await app.commands.clone(CloneRequest("bea", file))
    assert await refusal(app, SayRequest("@nobody")) == (
        f"There is no persona @nobody. Known are: @bea, @{bundled_handle()}."
    )


async def test_persona_without_a_ready_clone_says_why(app: App, file: Path) -> None:
    await app.commands.clone(CloneRequest("bea", file))
    assert (
        await refusal(app, SayRequest("bea"))
        == "@bea has no ready clone. It is queued; it is made while `mynah run` runs."
    )
    await app.commands.train_cancel("bea")
    assert await refusal(app, SayRequest("bea")) == "@bea has no ready clone. Make one: /clone @bea file=…"


async def test_folder_belongs_to_one_bot_and_is_free_after_it(home: Home) -> None:
    settings = config.load(None, home.environ())
    async with running(settings, make_clones=False):
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
            async with running(settings, make_clones=False):
                pass
    async with running(settings, make_clones=False) as app:
        assert await app.commands.handles() == [bundled_handle()]
