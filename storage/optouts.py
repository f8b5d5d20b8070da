"""Opt-outs: who is never to be learned from, kept so that the list names nobody.

Each is a hash by scrypt (RFC 7914) with a salt of this database's own: whoever has the file can ask whether a name is
in it, one slow guess at a time, and cannot read the names. Handles are compared as `personas.normalise_handle` writes
them, ids of a platform as `discord:123`.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlite_utils import Database

from storage.ids import utc_now

_SALT = "opt-outs"
_SALT_BYTES = 32
# 16 MiB and some 40 ms a guess: OWASP's Password Storage Cheat Sheet has these numbers as p = 5, we look up often.
_N, _R, _P = 2**14, 8, 1


def salt(db: Database) -> bytes | None:
    """This database's salt; None where nobody ever opted out."""
    row = db.execute("select salt from salts where name = ?", [_SALT]).fetchone()
    return None if row is None else bytes(row[0])


def ensure_salt(db: Database) -> bytes:
    """This database's salt, made where there is none."""
    with db.atomic():
        db.execute("insert or ignore into salts (name, salt) values (?, ?)", [_SALT, secrets.token_bytes(_SALT_BYTES)])
        found = salt(db)
    assert found is not None
    return found


def digest(name: str, salt: bytes) -> str:
    """The hash of a handle or id. It takes some 40 ms: not on the event loop."""
    return "scrypt:" + hashlib.scrypt(name.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32).hex()


def add(db: Database, digests: list[str]) -> int:
    """Keep these for good; returns how many are new."""
    with db.atomic():
        return sum(
            db.execute("insert or ignore into opt_outs (digest, at) values (?, ?)", [each, utc_now()]).rowcount
            for each in digests
        )


def holds(db: Database, digest: str) -> bool:
    """Whether somebody opted out under this hash."""
    return db.execute("select 1 from opt_outs where digest = ?", [digest]).fetchone() is not None


def names(db: Database, name: str) -> bool:
    """Whether a handle or id opted out. Slow where anybody did: for the database's thread, now and then."""
    return bool(count(db)) and holds(db, digest(name, ensure_salt(db)))


def count(db: Database) -> int:
    """How many opted out."""
    return int(db.execute("select count(*) from opt_outs").fetchone()[0])
