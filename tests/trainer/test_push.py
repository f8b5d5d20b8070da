"""A folder goes to the Hub: private, whole, once, and with a token that nobody else ever sees."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.faulty_http import Fault
from tests.servers.hub import PART_BYTES, LocalHub
from tests.trainer.hub_jobs import REPO, TOKEN, UPLOAD_WARNING, USER, contents, push_job, write_model
from tests.trainer.jobs import Outcome, Recorder, run, started
from trainer import hub as hub_module
from trainer.protocol import Failed, JobFailed, Pushed
from trainer.push import push
from trainer.tokens import read_token

pytestmark = pytest.mark.filterwarnings(UPLOAD_WARNING)

SURROUNDINGS = {"HF_TOKEN": TOKEN}
LARGE = bytes(range(256)) * (PART_BYTES * 5 // 2 // 256)
"""Two parts and a half."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # as the trainer's own process is started
    monkeypatch.setattr(hub_module, "RETRY_WAITS_S", (0.0, 0.0))
    with LocalHub({TOKEN: USER}) as server:
        yield server


def pushed(hub: LocalHub, folder: Path, repo: str = "bot", *, private: bool = True) -> Pushed:
    emit = Recorder()
    push(push_job(hub.url, folder, repo, private=private), emit)
    (event,) = emit.events
    assert isinstance(event, Pushed)
    return event


def refusal(hub_url: str, folder: Path, repo: str = "bot") -> JobFailed:
    with pytest.raises(JobFailed) as refused:
        push(push_job(hub_url, folder, repo), Recorder())
    assert TOKEN not in "".join(traceback.format_exception(refused.value))
    return refused.value


def test_every_file_arrives_in_one_commit_of_a_new_private_repository(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path, LARGE)
    (folder / "predictions.png").write_bytes(b"picture")
    event = pushed(hub, folder)
    repository = hub.repositories[REPO]
    assert (event.repo, event.url, event.commit) == (REPO, f"{hub.url}/{REPO}", repository.head)
    assert repository.files == contents(folder)
    assert repository.private
    assert len(hub.asked("POST", "/commit/")) == 1
    assert [len(request.body) for request in hub.sent(LARGE)] == [PART_BYTES, PART_BYTES, len(LARGE) - 2 * PART_BYTES]


def test_public_repository_is_made_on_request_alone(hub: LocalHub, tmp_path: Path) -> None:
    pushed(hub, write_model(tmp_path), private=False)
    assert not hub.repositories[REPO].private


def test_private_push_into_a_public_repository_is_refused_before_anything_is_sent(
    hub: LocalHub, tmp_path: Path
) -> None:
    hub.publish(REPO, {"README.md": b"long here"})
    failure = refusal(hub.url, write_model(tmp_path))
    assert (failure.kind, failure.message) == ("refused", f"The repository {REPO} is there already, and public.")
    assert hub.repositories[REPO].files == {"README.md": b"long here"}


def test_new_version_sends_what_changed_and_removes_stale_weights(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"of version 1")
    first = pushed(hub, folder)
    (folder / "model-00001-of-00002.safetensors").unlink()
    (folder / "README.md").write_text("# Version 2\n")
    sent_before = len(hub.asked("PUT", "/storage/"))
    second = pushed(hub, folder)
    assert second.commit != first.commit
    assert hub.repositories[REPO].files == contents(folder)
    assert len(hub.asked("PUT", "/storage/")) == sent_before


def test_pushing_the_same_again_makes_no_commit(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    assert pushed(hub, folder) == pushed(hub, folder)
    assert len(hub.asked("POST", "/commit/")) == 1


def test_upload_goes_on_after_a_cut_connection_with_the_part_that_was_cut(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path, LARGE)
    pushed(hub, write_model(tmp_path / "first", b"connects"))
    fault = hub.break_with(Fault("PUT", "/storage/", cut_after_bytes=PART_BYTES // 2))
    pushed(hub, folder)
    assert fault.met.is_set()
    assert hub.repositories[REPO].files["model.safetensors"] == LARGE
    assert [request.query["part"] for request in hub.sent(LARGE)] == ["1", "2", "3"]


@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/objects/batch", "/commit/"])
@pytest.mark.parametrize("status", [429, 500])
def test_server_that_stumbles_once_is_asked_again(hub: LocalHub, tmp_path: Path, path: str, status: int) -> None:
    fault = hub.break_with(Fault("POST", path, status=status))
    pushed(hub, write_model(tmp_path))
    assert fault.met.is_set()


def test_commit_whose_answer_was_lost_is_not_made_twice(hub: LocalHub, tmp_path: Path) -> None:
    hub.break_with(Fault("POST", "/commit/", lose_answer=True))
    event = pushed(hub, write_model(tmp_path))
    assert event.commit == hub.repositories[REPO].head
    assert len(hub.repositories[REPO].commits) == 2


def test_killed_push_sends_no_file_a_second_time(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path, LARGE)
    (folder / "predictions.png").write_bytes(b"picture")
    fault = hub.break_with(Fault("POST", "/commit/", stall=True))
    job = push_job(hub.url, folder)
    with started(job, environment=SURROUNDINGS) as trainer:
        assert fault.met.wait(60)
        trainer.send(signal.SIGKILL)
        trainer.end()
    sent = len(hub.asked("PUT", "/storage/"))
    assert sent == 4
    assert hub.repositories[REPO].files == {}
    assert run(job, environment=SURROUNDINGS).one(Pushed).repo == REPO
    assert len(hub.asked("PUT", "/storage/")) == sent
    assert hub.repositories[REPO].files == contents(folder)


def everything(outcome: Outcome, *folders: Path) -> str:
    written = "".join(content.decode("latin-1") for folder in folders for content in contents(folder).values())
    return outcome.stdout + outcome.stderr + written


@pytest.mark.parametrize("status", [0, 403, 400])
def test_token_is_in_no_event_log_or_file(hub: LocalHub, tmp_path: Path, status: int) -> None:
    if status:
        hub.break_with(Fault("POST", "/commit/", status=status))
    home = tmp_path / "home"
    home.mkdir()
    surroundings = {**SURROUNDINGS, "HF_HOME": str(home), "HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug"}
    outcome = run(push_job(hub.url, write_model(tmp_path / "model")), environment=surroundings)
    assert outcome.status == (1 if status else 0)
    assert TOKEN not in everything(outcome, tmp_path)


def test_token_goes_to_the_hub_and_not_to_its_storage(hub: LocalHub, tmp_path: Path) -> None:
    pushed(hub, write_model(tmp_path, LARGE))
    assert {request.token for request in hub.asked("PUT", "/storage/")} == {None}
    assert {request.token for request in hub.journal if "/storage/" not in request.path} == {TOKEN}


def test_token_is_read_from_the_file_that_is_named(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN_FILE", str(tmp_path / "token"))
    assert pushed(hub, write_model(tmp_path / "model")).repo == REPO


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1))
def test_token_is_printable_ascii_or_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.delenv("HF_TOKEN_FILE", raising=False)
    try:
        read = read_token("HF_TOKEN")
    except JobFailed as failure:
        assert failure.message == "HF_TOKEN holds something that is no token."
    else:
        assert read is None or (read.isascii() and read.isprintable() and " " not in read)


def test_without_a_token_nothing_is_asked(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    failure = refusal(hub.url, write_model(tmp_path))
    assert (failure.kind, failure.message) == ("refused", "There is no token to push with.")
    assert "HF_TOKEN" in failure.hint
    assert hub.journal == []


def test_token_that_the_hub_does_not_know_is_refused(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    failure = refusal(hub.url, write_model(tmp_path))
    assert failure.kind == "refused"
    assert "HF_TOKEN" in failure.hint


def test_repository_of_somebody_else_is_refused(hub: LocalHub, tmp_path: Path) -> None:
    failure = refusal(hub.url, write_model(tmp_path), "stranger/bot")
    assert failure.kind == "refused"
    assert failure.message == f"The Hub at 127.0.0.1:{hub.port} refuses stranger/bot (403)."


@pytest.mark.parametrize("repo", ["two words", "a/b/c", "-begins", "x" * 97, "ends.git", "somebody/", "../up"])
def test_name_that_is_none_is_told(hub: LocalHub, tmp_path: Path, repo: str) -> None:
    failure = refusal(hub.url, write_model(tmp_path), repo)
    assert (failure.kind, failure.message) == ("bad_job", f"{repo!r} is no name of a repository.")
    assert hub.repositories == {}


def test_hub_that_is_not_there_is_told_in_one_sentence_at_once(hub: LocalHub, tmp_path: Path) -> None:
    with LocalHub({}) as gone:
        url = gone.url
    outcome = run(push_job(url, write_model(tmp_path)), environment=SURROUNDINGS)
    failed = outcome.one(Failed)
    assert (outcome.status, failed.kind) == (1, "unreachable")
    assert failed.message == f"The Hub at {url.removeprefix('http://')} cannot be reached."
    assert "Traceback" not in outcome.stderr


def test_page_that_is_no_hub_is_told(hub: LocalHub, tmp_path: Path) -> None:
    hub.break_with(Fault("GET", "/api/whoami-v2", garbage=True))
    failure = refusal(hub.url, write_model(tmp_path))
    assert (failure.kind, failure.hint) == ("unreachable", "Check the setting `urls.hub`.")


def test_card_that_the_hub_does_not_accept_is_told(hub: LocalHub, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "README.md").write_text("---\nlanguage: [\n---\n")
    failure = refusal(hub.url, folder)
    assert (failure.kind, failure.message) == ("bad_job", "The Hub does not accept the metadata of README.md.")


def test_link_in_the_folder_is_not_published(hub: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    folder = write_model(tmp_path / "model")
    os.symlink(tmp_path / "diary.txt", folder / "notes.txt")
    failure = refusal(hub.url, folder)
    assert (failure.kind, failure.message) == ("bad_job", f"{folder / 'notes.txt'} is a link, not a file.")
    assert hub.journal == []


def test_folder_without_a_model_is_refused(hub: LocalHub, tmp_path: Path) -> None:
    assert refusal(hub.url, tmp_path).kind == "bad_job"


def test_hub_that_falls_silent_is_given_up(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "TIMEOUT", httpx2.Timeout(0.2))
    hub.break_with(Fault("GET", "/api/whoami-v2", stall=True, times=3))
    failure = refusal(hub.url, write_model(tmp_path))
    assert (failure.kind, failure.message) == (
        "unreachable",
        f"The Hub at 127.0.0.1:{hub.port} does not answer.",
    )
