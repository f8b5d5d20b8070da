"""Blends, refreshes, versions: what is asked for becomes an order, or is refused with nothing changed."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from bot import config
from bot.app import App, running
from bot.data_folder import DataFolder
from bot.errors import CommandError, NotFound
from bot.gateways.command_line import parse
from bot.gateways.families.people import FAMILY as PEOPLE
from bot.requests import BlendRequest, CloneRequest, RefreshRequest, SayRequest
from storage import blends, personas, posts
from storage.database import Writer, open_database
from storage.errors import MynahError
from storage.posts import Post
from tests.invented import invented_posts
from tests.running import Home
from trainer.recipes import Recipe


async def nobody(_question: str) -> bool:
    return False


@pytest.fixture
async def people(ada: Home) -> Home:
    """@ada, who speaks, and @bea, whose posts are here."""
    db = open_database(DataFolder(ada.data).database)
    bea = personas.ensure(db, "bea")
    posts.add(db, bea.id, [Post("csv", str(n), "bea", None, text) for n, text in enumerate(invented_posts(90, 2))])
    db.close()
    return ada


@pytest.fixture
async def app(people: Home) -> AsyncIterator[App]:
    async with running(config.load(None, people.environ()), make_clones=False) as app:
        yield app


async def test_blend_is_a_persona_of_its_own_with_the_shares_that_were_asked_for(app: App, people: Home) -> None:
    submitted = await app.commands.blend(BlendRequest(("@ada", "@bea"), (60, 40)))
    assert submitted.handle == "ada-bea"
    with people.database() as db:
        parts = blends.parts(db, submitted.clone.persona_id)
        assert [(part.handle, part.share) for part in parts] == [("ada", 0.6), ("bea", 0.4)]


async def test_blend_without_weights_is_of_equal_parts(app: App, people: Home) -> None:
    submitted = await app.commands.blend(BlendRequest(("ada", "bea"), name="both"))
    with people.database() as db:
        assert [part.share for part in blends.parts(db, submitted.clone.persona_id)] == [0.5, 0.5]


async def test_blend_is_of_the_newest_posts_where_that_is_asked(app: App) -> None:
    submitted = await app.commands.blend(BlendRequest(("ada", "bea"), newest=70))
    assert Recipe.model_validate_json(submitted.clone.recipe_json).newest == 70


async def test_blend_that_is_not_ready_is_blended_again_and_stands_on_what_its_people_agreed_to(app: App) -> None:
    submitted = await app.commands.blend(BlendRequest(("ada", "bea"), (1, 2), name="both"))
    await app.commands.train_cancel("both")
    with pytest.raises(NotFound, match=r"@both has no ready clone\. Blend its people again: /blend @bea @ada as=both"):
        await app.commands.say(SayRequest(submitted.handle))
    answered = await PEOPLE.do(app.commands, parse("/consents"), nobody)
    assert "@both: a blend of @bea, @ada; what each agreed to holds" in answered.lines


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (BlendRequest(("ada",)), "A blend needs two people"),
        (BlendRequest(("ada", "@Ada")), "A blend needs two people"),
        (BlendRequest(("ada", "bea", "ada")), "named twice"),
        (BlendRequest(("ada", "nobody")), "There is no persona @nobody"),
        (BlendRequest(("ada", "bea"), (60,)), "2 people and 1 weights"),
        (BlendRequest(("ada", "bea"), (60, 0)), "Each person has one weight above 0"),
        (BlendRequest(("ada", "bea"), (60, math.nan)), "Each person has one weight above 0"),
        (BlendRequest(("ada", "bea"), (60, math.inf)), "Each person has one weight above 0"),
        (BlendRequest(("ada", "bea"), (999, 1)), "Somebody has less than 1% of the weights"),
        (BlendRequest(("ada", "bea"), name="ada"), "@ada is one of its people"),
        (BlendRequest(("ada", "bea"), name="pigeon_mgmt"), "@pigeon_mgmt is a person here"),
        (BlendRequest(("ada", "bea"), (60, 40), recipe="huggingtweets"), "mixes people in equal parts"),
        (BlendRequest(("ada", "bea"), recipe="best"), "There is no recipe 'best'"),
        (BlendRequest(("ada", "bea"), newest=0), "newest is 0"),
    ],
)
async def test_blend_that_cannot_be_is_refused(app: App, request_: BlendRequest, told: str) -> None:
    before = await app.commands.models()
    with pytest.raises(MynahError) as refused:
        await app.commands.blend(request_)
    assert told in str(refused.value)
    assert await app.commands.models() == before


async def test_blend_is_not_cloned_or_refreshed_like_a_person(app: App) -> None:
    await app.commands.blend(BlendRequest(("ada", "bea"), name="both"))
    with pytest.raises(CommandError, match="is a blend"):
        await app.commands.clone(CloneRequest("both", None))


async def test_refresh_goes_on_from_the_version_that_speaks(app: App) -> None:
    (current,) = [model for model in await app.commands.models() if model.handle == "ada"]
    (before,) = [version.clone for version in await app.commands.versions("ada")]
    submitted = await app.commands.refresh(RefreshRequest("ada"))
    assert submitted.clone.goes_on_from == current.clone_id
    assert submitted.clone.recipe_json == before.recipe_json
    assert submitted.clone.version == 2


async def test_refresh_of_somebody_without_a_voice_is_refused(app: App) -> None:
    with pytest.raises(NotFound, match="has no ready clone"):
        await app.commands.refresh(RefreshRequest("bea"))


async def test_rollback_without_an_older_version_is_refused(app: App) -> None:
    with pytest.raises(NotFound, match="@ada has no older version that spoke"):
        await app.commands.rollback("ada")
    with pytest.raises(NotFound, match="@ada has no ready version 7"):
        await app.commands.rollback("ada", 7)


async def test_erasing_a_person_erases_the_blends_that_they_are_in(people: Home) -> None:
    async with running(config.load(None, people.environ()), make_clones=False) as app:
        await app.commands.blend(BlendRequest(("ada", "bea")))
    store = Writer(DataFolder(people.data).database)
    await store.start()
    bea = await store.run(personas.find, "bea")
    assert bea is not None
    await store.run(personas.erase, bea.id)
    assert {persona.handle for persona in await store.run(personas.all)} == {"ada", "pigeon_mgmt"}
    await store.close()
