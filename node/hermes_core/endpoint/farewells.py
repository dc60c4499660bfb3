"""Chats that are over at an app and whose home has not said that it knows: it is told until it does, in whichever start.

What a node answers to a Delete of a chat that it does not hold says that it has none: whoever asks once more than there is to
tell knows that it was told. No answer is needed of a node that takes a Delete in, so that nothing of this is on the wire.
"""

from __future__ import annotations

from typing import Final

from hermes_core.endpoint.context import HomeStream
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.endpoint.output import Collector
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId, Party
from hermes_core.keystore.app_record import EndedChatRecord
from hermes_core.protocol.messages import ChatMessage, Closed, Delete, ErrorNotice

MAX_OWED: Final = 4096
"""The oldest goes for one more: its home erases it once it was idle for long enough."""


class Farewells:
    """Owns these chats, and which of that is to be kept and was not handed out yet."""

    def __init__(self, effects: Collector, idle_timeout_s: float) -> None:
        self._effects = effects
        self._idle_timeout_s = idle_timeout_s
        self._owed: dict[ChatId, EndedChatRecord] = {}
        self._changes = KeptChanges()

    def __bool__(self) -> bool:
        return bool(self._owed)

    def restore(self, record: EndedChatRecord, date_s: float) -> None:
        """One of a former start; by `date_s` its home may have erased it as idle."""
        self._owed[record.chat_id] = record
        if date_s > record.ended_s + self._idle_timeout_s:
            self._settle(record.chat_id)

    def add(self, record: EndedChatRecord, home: HomeStream | None) -> None:
        """It has just ended, and if the home is there it was told."""
        self._owed[record.chat_id] = record
        self._changes.owe(record)
        if len(self._owed) > MAX_OWED:
            self._settle(next(iter(self._owed)))
        if home is not None and home.party == record.home:
            self._tell(record)

    def connected(self, party: Party) -> None:
        """Tell what this node is to know, and ask whether it does."""
        for record in self._owed.values():
            if record.home == party:
                self._tell(record)
                self._tell(record)

    def hear(self, chat_id: ChatId | None, message: ChatMessage, party: Party) -> None:
        """An answer of a chat's home: it has no such chat any more, or an end of its own to tell, which was acknowledged."""
        record = None if chat_id is None else self._owed.get(chat_id)
        if record is None or record.home != party:
            return
        if isinstance(message, Closed):
            self._tell(record)
        elif isinstance(message, ErrorNotice) and message.code is ErrorCode.CHAT_NOT_FOUND:
            self._settle(record.chat_id)

    def collect(self, changes: KeptChanges) -> None:
        """Hand over what is to be kept."""
        changes.add(self._changes)
        self._changes = KeptChanges()

    def _tell(self, record: EndedChatRecord) -> None:
        self._effects.send(Delete(record.chat_id, record.failed, record.proofs))

    def _settle(self, chat_id: ChatId) -> None:
        del self._owed[chat_id]
        self._changes.settle(chat_id)
