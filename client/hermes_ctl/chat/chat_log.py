"""What a terminal keeps of its chats, sealed in the app's store: what was said since the last start, and names for app ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hermes_core.ids import CHAT_ID_BYTES, AppId, ChatId

_NAME: Final = b"n"
_CURSOR: Final = b"c"
_LINE: Final = b"l"
_OUTGOING: Final = 1


class OwnRecords(Protocol):
    """Where it is kept; `hermes_client.AppStore` is one."""

    async def read_own(self) -> dict[bytes, bytes]: ...
    async def write_own(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes] = ()) -> None: ...


@dataclass(frozen=True, slots=True)
class Line:
    """`index` counts lines of all chats; `seq` is the message's."""

    index: int
    chat_id: ChatId
    outgoing: bool
    seq: int
    content: bytes

    @property
    def key(self) -> bytes:
        return _LINE + self.index.to_bytes(8, "big")

    def encode(self) -> bytes:
        return self.chat_id + bytes([self.outgoing]) + self.seq.to_bytes(8, "big") + self.content


class ChatLog:
    """Owns lines and names. A line is durable when `add` returns; the first one of a start erases those of the one before.

    What is received is added before it is acknowledged, and what is typed before it is sent: whenever the process is killed,
    the next start shows each line once, and sends what was not sent.
    """

    def __init__(self, own: OwnRecords | None) -> None:
        """`own`: None keeps nothing beyond the process."""
        self._own = own
        self._lines: dict[int, Line] = {}
        self._old: set[int] = set()
        self._cursors: dict[ChatId, int] = {}
        self._names: dict[str, AppId] = {}
        self._next_index = 1

    async def open(self, alive: Collection[ChatId]) -> None:
        """Read what was kept; what is left of chats that are over is erased."""
        for key, value in (await self._own.read_own() if self._own is not None else {}).items():
            kind, rest = key[:1], key[1:]
            if kind == _NAME:
                self._names[rest.decode()] = AppId(value.decode())
            elif kind == _CURSOR:
                self._cursors[ChatId(rest)] = int.from_bytes(value, "big")
            elif kind == _LINE:
                line = _parse_line(int.from_bytes(rest, "big"), value)
                self._lines[line.index] = line
        self._next_index = max(self._lines, default=0) + 1
        self._old = set(self._lines)
        for chat_id in {*self._cursors, *(line.chat_id for line in self._lines.values())} - set(alive):
            await self.forget(chat_id)

    def lines(self, chat_id: ChatId) -> list[Line]:
        return [line for _, line in sorted(self._lines.items()) if line.chat_id == chat_id]

    def take_unsent(self, chat_id: ChatId, last_sent: int) -> list[Line]:
        """Lines that were typed, and never became messages; they belong to this start."""
        unsent = [line for line in self.lines(chat_id) if line.outgoing and line.seq > last_sent]
        self._old -= {line.index for line in unsent}
        return unsent

    def has(self, chat_id: ChatId, seq: int) -> bool:
        """Whether this message of the other app is in here, or was."""
        return seq <= self._cursors.get(chat_id, 0)

    async def add(self, chat_id: ChatId, seq: int, content: bytes, *, outgoing: bool) -> Line:
        line = Line(self._next_index, chat_id, outgoing, seq, content)
        self._next_index += 1
        puts = {line.key: line.encode()}
        if not outgoing:
            self._cursors[chat_id] = seq
            puts[_CURSOR + chat_id] = seq.to_bytes(8, "big")
        old, self._old = self._old, set()
        erased = [self._lines.pop(index).key for index in old]
        self._lines[line.index] = line
        await self._write(puts, erased)
        return line

    async def renumber(self, line: Line, seq: int) -> None:
        """It became another message than was foreseen."""
        self._lines[line.index] = changed = replace(line, seq=seq)
        await self._write({changed.key: changed.encode()}, [])

    async def forget(self, chat_id: ChatId) -> None:
        """The chat was deleted: nothing of it stays."""
        lines = self.lines(chat_id)
        for line in lines:
            del self._lines[line.index]
            self._old.discard(line.index)
        self._cursors.pop(chat_id, None)
        await self._write({}, [_CURSOR + chat_id, *(line.key for line in lines)])

    @property
    def names(self) -> dict[str, AppId]:
        return dict(sorted(self._names.items()))

    def name_of(self, app_id: AppId) -> str:
        """The name, or the beginning of the id."""
        return next((name for name, named in self._names.items() if named == app_id), app_id[:8])

    def find(self, name: str) -> AppId | None:
        return self._names.get(name)

    async def set_name(self, name: str, app_id: AppId) -> None:
        """Each app has one name, each name one app: what they had before is gone."""
        gone = [known for known, named in self._names.items() if named == app_id and known != name]
        for known in gone:
            del self._names[known]
        self._names[name] = app_id
        await self._write({_NAME + name.encode(): app_id.encode()}, [_NAME + known.encode() for known in gone])

    async def _write(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes]) -> None:
        if self._own is not None:
            await self._own.write_own(puts, deletes)


def _parse_line(index: int, value: bytes) -> Line:
    head = value[CHAT_ID_BYTES : CHAT_ID_BYTES + 9]
    outgoing, seq = head[0] == _OUTGOING, int.from_bytes(head[1:], "big")
    return Line(index, ChatId(value[:CHAT_ID_BYTES]), outgoing, seq, value[CHAT_ID_BYTES + 9 :])
