"""An APSW connection that passes for sqlite3's: APSW lets Python be the file system under SQLite, which sqlite3 does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import apsw


class ApswConnection:
    """As much of sqlite3.Connection as the keystore uses, on APSW."""

    def __init__(self, uri: str) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
        try:
            self._connection = apsw.Connection(uri, flags=flags)
        except apsw.Error as error:
            raise _translated(error) from None
        self.text_factory: object = bytearray

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> _Rows:
        try:
            return _Rows(list(self._connection.execute(statement, tuple(parameters))))
        except apsw.Error as error:
            raise _translated(error) from None

    def setlimit(self, category: int, limit: int) -> int:
        return int(self._connection.limit(category, limit))

    def close(self) -> None:
        self._connection.close()


class _Rows:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return self._rows[:size]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


def _translated(error: apsw.Error) -> sqlite3.OperationalError:
    translated = sqlite3.OperationalError(str(error))
    translated.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_ERROR)
    return translated
