"""The SQLite side of a keystore: schema, connections for checking and for writing, errors told apart."""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from hermes_core.errors import (
    KeystoreError,
    KeystoreIOError,
    KeystoreLockedError,
    KeystoreMissingError,
    KeystoreTamperedError,
    KeystoreUnsupportedVersionError,
)
from hermes_keystore.place import check_beside, check_regular, floor_path, temporary_path, wal_path

APPLICATION_ID: Final = 0x484B5331  # "HKS1"
FILE_VERSION: Final = 1
PAGE_BYTES: Final = (
    8192  # a usual chat record (about 1 KiB) stays inside its B-tree page; 4096 would give each an overflow page
)
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_WAL_FORMAT: Final = b"\2\2"  # file format write and read version, bytes 18 and 19
SMALLEST_PAGE_BYTES: Final = 512
MAX_SQLITE_VALUE_BYTES: Final = 2 << 20

SCHEMA: Final = {
    "header": "CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL)",
    "state": "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL)",
    # One B-tree and no index: a scan in key order sees every cell a look-up can reach, so the set digest covers look-ups too.
    "records": "CREATE TABLE records (row_key BLOB PRIMARY KEY, tbl INTEGER NOT NULL, version INTEGER NOT NULL,"
    " sealed BLOB NOT NULL) WITHOUT ROWID",
}

_IO_ERRORS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_AUTH,
    }
)
_LOCK_ERRORS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY_CODE_MASK: Final = 0xFF
_NO_CKPT_ON_CLOSE: Final = 1006  # SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE of sqlite3.h


DATABASE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged database makes the sqlite3 module raise (it decodes SQLite's messages, which quote damaged text)."""


class Connector(Protocol):
    """Opens a database by SQLite URI; tests put a recording or failing file system underneath."""

    def __call__(self, uri: str) -> sqlite3.Connection: ...


def connect_sqlite(uri: str) -> sqlite3.Connection:
    """The standard library's SQLite. Transactions are explicit; a busy file is an error at once, there is one user."""
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)


def journal_path(path: Path) -> Path:
    return path.with_name(path.name + "-journal")


def translate_error(error: Exception) -> KeystoreError:
    """The keystore's own error for SQLite's; what is neither the volume's nor a lock's fault is damage."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & _PRIMARY_CODE_MASK if code is not None else None
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if primary in _IO_ERRORS:
        return KeystoreIOError(f"{error} ({name})")
    if primary in _LOCK_ERRORS:
        return KeystoreLockedError(f"another process has the database open ({name})")
    return KeystoreTamperedError(f"the file is not a whole keystore ({name})")


def as_keystore_error(error: BaseException) -> KeystoreError | None:
    """None: not the keystore's to tell (an interruption, a defect)."""
    if isinstance(error, KeystoreError):
        return error
    if isinstance(error, DATABASE_ERRORS):
        return translate_error(error)
    if isinstance(error, OSError):
        return KeystoreIOError(f"the volume failed: {error.strerror}")
    return None


@contextmanager
def translated() -> Iterator[None]:
    """What the database raises inside comes out as the keystore's own error."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise translate_error(error) from None


def check_files(path: Path) -> None:
    """Refuse what must not reach SQLite: no file, no regular file, an empty one, or a journal that would be played back."""
    beside = [wal_path(path), journal_path(path)]
    if not temporary_path(path).exists():  # a wipe that was interrupted leaves the floor for the next creation to remove
        beside.append(floor_path(path))
    orphans = [sidecar for sidecar in beside if os.path.lexists(sidecar)]
    try:
        found = path.stat()
    except FileNotFoundError:
        if orphans:
            cure = "put the database back, or move what lies beside it away too, to begin with an empty keystore"
            raise KeystoreTamperedError(f"{path} is gone, but {orphans[0].name} is there", cure=cure) from None
        raise KeystoreMissingError(f"there is no keystore at {path}") from None
    except OSError as error:
        raise KeystoreIOError(f"cannot read {path}: {error.strerror}") from None
    check_regular(path, found)
    check_beside(wal_path(path))
    check_beside(floor_path(path))
    size = found.st_size
    if size == 0:
        raise KeystoreTamperedError(f"{path} is empty")
    if size % SMALLEST_PAGE_BYTES:
        raise KeystoreTamperedError(f"{path} was cut off: its size is no whole number of pages")
    if journal_path(path) in orphans:
        raise KeystoreTamperedError(f"{journal_path(path).name} is not Hermes': it would change the keystore when opened")


def open_for_checking(path: Path, connect: Connector = connect_sqlite) -> sqlite3.Connection:
    """A connection that cannot change a byte of the database or its write-ahead log.

    Without a log the file is immutable to SQLite. With one (after a crash) SQLite must read it, so it opens the database
    read-only with locking switched off (the keystore's own lock is held) and keeps the log's index in memory: no -shm file.
    """
    _check_file_header(path)
    has_log = wal_path(path).exists() and wal_path(path).stat().st_size > 0
    connection = connect(_uri(path, "mode=ro&vfs=unix-none" if has_log else "mode=ro&immutable=1"))
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _harden(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_file_header(path: Path) -> None:
    """A database whose header asks for another journal mode, or to be read only, would open and then refuse its first commit.

    For a holder of the keystore's lock only: closing a descriptor here would drop SQLite's own lock on an open database.
    """
    with path.open("rb") as file:
        head = file.read(len(_SQLITE_MAGIC) + 4)
    if not head.startswith(_SQLITE_MAGIC) or head[-2:] != _WAL_FORMAT:
        raise KeystoreTamperedError("the file is not a keystore's database")


def open_for_writing(path: Path, connect: Connector = connect_sqlite) -> sqlite3.Connection:
    """The one writing connection: WAL without shared memory, an fsync in every commit, freed content zeroed."""
    connection = connect(_uri(path, "mode=rw"))
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before anything else: keeps the log's index out of a file
        _harden(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # wal.py decides when
        _begin_writing(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_writing(connection: sqlite3.Connection) -> None:
    """Take SQLite's own lock, and find out now rather than in the first commit that the file is read-only."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if _text(mode) != "wal":
        raise KeystoreIOError("the database cannot be put into WAL mode; is the volume read-only?")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def create_database(path: Path, page_bytes: int, connect: Connector = connect_sqlite) -> sqlite3.Connection:
    """A new database with an empty schema, at a path that must not exist; the caller fills, closes and renames it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(_uri(path, "mode=rw"))
    for pragma in (
        f"page_size = {page_bytes}",
        "locking_mode = EXCLUSIVE",
        "secure_delete = ON",
        "synchronous = FULL",
        f"application_id = {APPLICATION_ID}",
        f"user_version = {FILE_VERSION}",
        "journal_mode = WAL",
    ):
        connection.execute(f"PRAGMA {pragma}")
    for statement in SCHEMA.values():
        connection.execute(statement)
    return connection


def check_schema(connection: sqlite3.Connection) -> None:
    """KeystoreTamperedError unless this is a keystore's database, whole page by page, and nothing else is in it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise KeystoreTamperedError("the file is not a Hermes keystore")
    if version != FILE_VERSION:
        raise KeystoreUnsupportedVersionError(f"keystore file version {version}; this Hermes knows {FILE_VERSION}")
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
    found = [tuple(_text(column) for column in row) for row in rows]
    if found != [("table", name, name, sql) for name, sql in SCHEMA.items()]:
        raise KeystoreTamperedError("the keystore's schema is not Hermes'")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if _text(verdict) != "ok":
        raise KeystoreTamperedError("the keystore's pages do not fit together")


def close_untouched(connection: sqlite3.Connection) -> None:
    """Close, with every lock and descriptor, and change no file.

    When the last connection closes, SQLite folds the log in and removes it by its name, which another keystore's may bear by
    now. SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE forbids both.
    """
    if _forbid_checkpoint_on_close(connection):
        connection.close()
    else:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))  # never closed: the process's end removes nothing


def _forbid_checkpoint_on_close(connection: object) -> bool:
    """False when this Python's SQLite is out of reach."""
    setconfig = getattr(connection, "setconfig", None)
    if setconfig is not None:  # Python 3.12 on
        setconfig(_NO_CKPT_ON_CLOSE, True)
        return True
    if not isinstance(connection, sqlite3.Connection):
        return False
    try:
        configure = ctypes.CDLL(_sqlite3.__file__).sqlite3_db_config  # this very SQLite: dlsym looks among what it is linked to
    except (OSError, AttributeError):
        return False
    database = ctypes.c_void_p.from_address(id(connection) + object.__basicsize__)  # the first field of Python 3.11's object
    return int(configure(database, _NO_CKPT_ON_CLOSE, ctypes.c_int(1), None)) == sqlite3.SQLITE_OK


def _harden(connection: sqlite3.Connection) -> None:
    # Text comes as bytearray, so that damage cannot raise a decoding error, and a blob whose type was flipped to text (it would
    # be read back right, but sorts and compares differently) is not taken for bytes.
    connection.text_factory = bytearray
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_SQLITE_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytearray) else str(value)


def _uri(path: Path, query: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{query}"
