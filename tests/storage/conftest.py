"""A database as Mynah opens it, with a persona and a clone in line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage import clones, personas
from storage.clones import Clone
from storage.database import open_database
from storage.personas import Persona


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mynah.db"


@pytest.fixture
def fresh_db(db_path: Path) -> Iterator[Database]:
    with open_database(db_path) as db:
        yield db


@pytest.fixture
def ada(fresh_db: Database) -> Persona:
    return personas.ensure(fresh_db, "@Ada", "Ada Lovelace", "x_archive")


@pytest.fixture
def clone(fresh_db: Database, ada: Persona) -> Clone:
    return clones.enqueue(fresh_db, ada.id, "mynah", "{}", "smollm2-135m", 7, "console", "/tmp/ada.zip")
