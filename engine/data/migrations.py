"""The database: its shape as numbered steps, the one way to open it, and its failures in plain words.

A step is never changed once released: a new shape is a new step at the end. The number of steps done is kept in
SQLite's `user_version`. Does not know what the tables are used for (`store`).
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from sqlite_utils import Database

from ..contract.errors import StoreError

Step = Callable[[Database], None]

BUSY_TIMEOUT_S = 5.0  # how long an action waits for another program's transaction to end

FULL = "The disk of {folder} is full: free some space and do it again; what was reported saved is safe."
OTHER = "{folder} cannot be used ({error}): check that it is there and that you may write it."
DAMAGED = "The database in {folder} is damaged ({error}): open a copy of the project instead."
# What SQLite says of a damaged file under the code that our own mistakes have too.
SIGNS_OF_DAMAGE = (
    "unsupported file format", "malformed", "no such table", "no such column", "duplicate column", "already exists",
    "decode to UTF-8",
)  # fmt: skip
# SQLite's primary result codes that a person can do something about.
SENTENCES = {
    sqlite3.SQLITE_BUSY: "{folder} is in use by another program, which keeps its database locked: try again when it "
    "is done.",
    sqlite3.SQLITE_LOCKED: "{folder} is in use by another part of this program: try again when it is done.",
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: "The disk of {folder} failed ({error}): check that it is connected and not full.",
    sqlite3.SQLITE_READONLY: "{folder} cannot be written: check its permissions, or copy it to a disk you can write.",
    sqlite3.SQLITE_PERM: "{folder} cannot be written: check its permissions.",
    sqlite3.SQLITE_CANTOPEN: "The database in {folder} cannot be opened: check that the folder is still there and "
    "that you may read and write it.",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "The database in {folder} is damaged or no database: open a copy of the project instead.",
}


@contextmanager
def connection(
    folder: Path, name: str, *, create: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Iterator[Database]:
    """A connection for one action on database `name` in `folder` (absolute). Raises StoreError."""
    # Without a mode SQLite would quietly make an empty database where a project was moved away.
    address = f"{(folder / name).as_uri()}?mode={'rwc' if create else 'rw'}"
    with plain_errors(folder):
        opened = sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None)
        try:
            # FULL: a commit is on the disk when it returns, also if the power fails a moment later.
            opened.executescript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            db = Database(opened)
            _check_version(db)
            yield db
        finally:
            opened.close()


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All that is done inside, or nothing; other writers wait from its start."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise


@contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Says in one sentence what is wrong with the database or the disk; our own mistakes pass through."""
    try:
        yield
    except sqlite3.Error as error:
        sentence = SENTENCES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if sentence is None and any(sign in str(error) for sign in SIGNS_OF_DAMAGE):
            sentence = DAMAGED
        if sentence is None:
            raise
        raise StoreError(sentence.format(folder=folder, error=error)) from error
    except MemoryError as error:  # SQLite's word for a size that a damaged file states
        raise StoreError(DAMAGED.format(folder=folder, error="it asks for more memory than there is")) from error
    except UnicodeDecodeError as error:  # SQLite quotes the damaged bytes in its own error
        raise StoreError(DAMAGED.format(folder=folder, error="text that is no UTF-8")) from error
    except OSError as error:
        sentence = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else OTHER
        raise StoreError(sentence.format(folder=folder, error=error.strerror)) from error


def _check_version(db: Database) -> None:
    version = shape_version(db)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"This project was made by a newer version of Lect (format {version}, this one reads up to "
            f"{len(MIGRATIONS)}): run pip install --upgrade lect."
        )


def migrate(db: Database, steps: Sequence[Step] | None = None) -> None:
    """Does the steps that are missing (of MIGRATIONS, unless others are given).

    To be called inside a transaction, so that all of them are done or none.
    """
    done = shape_version(db)
    for number, step in enumerate((MIGRATIONS if steps is None else steps)[done:], start=done + 1):
        step(db)
        db.execute(f"PRAGMA user_version = {number}")


def check_shape(db: Database, folder: Path) -> None:
    """Raises StoreError where a table or a column is missing that the stated version has."""
    there = _shape(db)
    for table, columns in _whole_shape().items():
        if missing := columns - there.get(table, set()):
            raise StoreError(DAMAGED.format(folder=folder, error=f"{table} has no {', '.join(sorted(missing))}"))


@cache
def _whole_shape() -> dict[str, set[str]]:
    with closing(Database(memory=True)) as db:
        migrate(db)
        return _shape(db)


def _shape(db: Database) -> dict[str, set[str]]:
    """The columns of each table."""
    return {table.name: set(table.columns_dict) for table in db.tables}


def shape_version(db: Database) -> int:
    """How many steps the database has behind it; 0 for an empty one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _clips(db: Database) -> None:
    """The project itself, its speakers and its clips."""
    db.table("project").create(
        {
            "id": int,  # always 1
            "name": str,
            "language": str,
            "rules": str,  # JSON of TextRules
            "created": str,
            "split_rule": str,  # how the clips were split, in words
            "split_seed": int,
        },
        pk="id",
    )
    db.table("speakers").create({"name": str, "consent": str, "licence": str, "notes": str}, pk="name")
    db.table("clips").create(
        {
            "id": int,
            "sha256": str,
            "sound_sha256": str,
            "extension": str,  # with the hash it gives the file's name, so that the folder can be moved
            "seconds": float,
            "text": str,
            "speaker": str,
            "language": str,
            "split": str,
            "quality": str,  # JSON of Quality
            "added": str,
            "trashed": str,  # when it was deleted, or null
        },
        pk="id",
        not_null={"sha256", "sound_sha256", "extension", "seconds", "text", "speaker", "language", "split", "quality"},
        foreign_keys=[("speaker", "speakers", "name")],
    )
    db.table("clips").create_index(["sha256"], unique=True)
    db.table("clips").create_index(["sound_sha256"], unique=True)


def _runs(db: Database) -> None:
    """What was trained, how good it was, and what left."""
    db.table("runs").create(
        {"id": int, "created": str, "method": str, "settings": str, "status": str, "facts": str},
        pk="id",
    )
    db.table("scores").create(
        {"id": int, "run": int, "split": str, "created": str, "figures": str},
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("packs").create(
        {"id": int, "run": int, "path": str, "sha256": str, "created": str},
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )


def _edits(db: Database) -> None:
    """Clips that are kept and not used, and what was done to clips, so that it can be undone."""
    db.table("clips").add_column("excluded", bool, not_null_default=0)
    db.table("edits").create({"id": int, "made": str, "before": str}, pk="id")  # before: JSON of Edit.before


def _uses(db: Database) -> None:
    """What speakers and their community allow, use by use."""
    db.table("speakers").add_column("uses", str, not_null_default="{}")
    db.table("project").add_column("community", str, not_null_default="{}")


MIGRATIONS: tuple[Step, ...] = (_clips, _runs, _edits, _uses)
