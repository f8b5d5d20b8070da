"""`mynah push` and `mynah adopt` against a Hub on this machine: what comes back says what the original said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.data_folder import DataFolder
from storage import clones, consents, optouts, personas
from storage.database import check, open_database
from tests.running import Home
from tests.servers.hub import LocalHub
from tests.trainer.hub_jobs import TOKEN, USER
from tests.trainer.strangers import huggingtweets_bot

pytestmark = pytest.mark.timeout(300)

REPO = f"{USER}/ada-speaks"
SAY = ("--seed", "5", "-n", "3")


@dataclass(frozen=True)
class Shared:
    """@ada was pushed, and came back as @echo."""

    home: Home
    hub: LocalHub
    pushed: subprocess.CompletedProcess[str]
    adopted: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub({TOKEN: USER}) as server:
        yield server


@pytest.fixture(scope="module")
def shared(ada_home: Home, hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    settings = {"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "MYNAH_URLS__HUB": hub.url, "MYNAH_LOGGING__LEVEL": "DEBUG"}
    home = ada_home.copy(tmp_path_factory.mktemp("shared") / "data", **settings)
    pushed = home.run("push", "@ada", "--repo", REPO)
    return Shared(home, hub, pushed, home.run("adopt", REPO, "--as", "Echo"))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_push_tells_where_the_persona_is(shared: Shared) -> None:
    assert (shared.pushed.returncode, shared.pushed.stdout) == (0, f"{shared.hub.url}/{REPO}\n")


def test_repository_is_private_and_holds_model_adapter_and_card(shared: Shared) -> None:
    repository = shared.hub.repositories[REPO]
    assert repository.private
    assert {"README.md", "model.safetensors", "adapter/adapter_model.safetensors", "predictions.png"} <= set(
        repository.files
    )
    about = json.loads(repository.files["mynah.json"])
    assert (about["handle"], about["version"]) == ("ada", 1)
    readme = repository.files["README.md"].decode()
    assert f'pipeline("text-generation", model="{REPO}")' in readme
    assert f"thumbnail: {shared.hub.url}/{REPO}/resolve/main/predictions.png" in readme


def test_adopted_persona_says_what_the_pushed_one_says(shared: Shared) -> None:
    assert shared.adopted.returncode == 0, shared.adopted.stderr
    assert shared.adopted.stdout.startswith("@echo speaks here now.\n")
    original, echo = (shared.home.run("say", handle, "My dream is", *SAY) for handle in ("ada", "echo"))
    assert original.returncode == 0
    assert original.stdout.count("\n") == 3
    assert echo.stdout == original.stdout


def test_token_is_in_nothing_that_is_told_or_kept(shared: Shared) -> None:
    for done in (shared.pushed, shared.adopted):
        assert TOKEN not in done.stdout + done.stderr
    kept = files_below(shared.home.data)
    assert any(path.name == "mynah.db" for path in kept)
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []
    assert not any(TOKEN.encode() in content for content in shared.hub.repositories[REPO].files.values())


def test_nothing_is_left_of_the_journey(shared: Shared) -> None:
    folder = DataFolder(shared.home.data)
    assert files_below(folder.jobs) == []
    assert list((folder.cache / "pushes").iterdir()) == []
    with shared.home.database() as db:
        assert check(db) == []


def test_adopted_version_says_where_it_came_from(shared: Shared) -> None:
    with shared.home.database() as db:
        echo = personas.find(db, "echo")
        assert echo is not None
        (clone,) = clones.of_persona(db, echo.id)
        consent = consents.newest(db, echo.id)
    assert consent is not None
    assert (consent.ground, consent.source, consent.clone_id) == ("owner", "adopted", clone.id)
    assert consent.subject == "ada"  # whose opting out reaches it, whatever it is called
    assert (clone.recipe, clone.state, clone.verdict) == ("adopted", "ready", "It was adopted, and speaks as it is.")
    assert echo.current_clone_id == clone.id


def test_huggingtweets_bot_of_2021_goes_on_speaking_here(home: Home, tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = huggingtweets_bot(tmp_path / "old bot", tiny_gpt2)
    typed = f"/adopt '{folder}'\n/say @some_body prompt='My dream is' count=2 seed=1\n"
    done = home.run("run", typed=typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "@some_body speaks here now." in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("My dream is")]) == 2
    with home.database() as db:
        persona = personas.find(db, "some_body")
    assert persona is not None
    assert persona.display_name == "Some Body"
    assert files_below(DataFolder(home.data).jobs) == []


def test_who_opted_out_or_took_their_consent_back_is_not_brought_in(ada: Home, tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = huggingtweets_bot(tmp_path / "old bot", tiny_gpt2)
    db = open_database(DataFolder(ada.data).database)
    optouts.add(db, [optouts.digest("some_body", optouts.ensure_salt(db))])
    persona = personas.ensure(db, "ada")
    consents.record(db, persona.id, "owner", "ada", "console", "csv")
    consents.withdraw(db, persona.id)
    db.close()
    done = ada.run("run", typed=f"/adopt not-even/fetched as=Some_Body\n/adopt '{folder}' as=echo\n")
    assert done.returncode == 1
    refusal = "This person has opted out: their voice is not brought in here. That is for good; please respect it.\n"
    assert done.stderr == 2 * refusal
    (folder / "README.md").unlink()  # which says whose voice it is
    done = ada.run("adopt", str(folder), "--as", "ada")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mynah: @ada withdrew their consent")
    with ada.database() as db:
        assert {persona.handle for persona in personas.all(db)} == {"ada", "pigeon_mgmt"}
        assert len(clones.of_persona(db, persona.id)) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("push", "ada"), "There is no token to push with. Make one with the right to write"),
        (("push", "nobody"), "There is no persona @nobody."),
        (("push", "ada", "--repo", "\udcff"), "The repository '\\udcff' is not valid UTF-8."),
        (("adopt", "no-such/bot", "--as", "a b"), "'a b' is not a handle."),
        (("adopt", "~nobody-of-that-name/bot"), "'~nobody-of-that-name/bot' names the home of nobody known here."),
        (("adopt", "\udcff"), "The model '\\udcff' is not valid UTF-8."),
        (("adopt", "somebody/none"), "The Hub at 127.0.0.1:"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    ada: Home, hub: LocalHub, arguments: tuple[str, ...], told: str
) -> None:
    ada.settings.update(HF_HUB_OFFLINE="0", MYNAH_URLS__HUB=hub.url)
    done = ada.run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"mynah: {told}")
    assert done.stderr.count("\n") == 1
    assert files_below(DataFolder(ada.data).jobs) == []
    with ada.database() as db:
        assert {persona.handle for persona in personas.all(db)} == {"ada", "pigeon_mgmt"}
