"""Where a chat stands on its node: its state, what is kept of it besides its hops, and how it ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from hermes_core.ids import ChannelKind
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.relay.effects import Effects
from hermes_core.relay.events import ChatErased, ChatOpened, ChatQuarantined
from hermes_core.relay.rows import Row

CURE: Final = "the chat must be rekeyed or deleted"
"""What the apps of a chat that is quarantined hear."""


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """Why a chat ended, and the hops whose neighbours need not be told: they know, or never took part.

    Without a reason it did not end: it is at home elsewhere. `proofs`: of the app that deleted it.
    """

    reason: CloseReason | None
    silent: frozenset[int]
    proofs: tuple[EndProof, ...] = ()


class Standing:
    """`stored`: the chat's record is in the keystore, or about to be. `changed`: it differs from that, hops aside.

    `ended` is set once, and then nothing else happens to the chat.
    """

    __slots__ = ("_effects", "_row", "app_keys", "changed", "created_at", "end_to_end_epoch", "ended", "state", "stored")

    def __init__(self, row: Row, effects: Effects, app_keys: tuple[bytes, bytes], created_at: float) -> None:
        self._row = row
        self._effects = effects
        self.app_keys = app_keys
        self.created_at = created_at
        self.state = ChatState.PENDING
        self.end_to_end_epoch = 0
        self.stored = False
        self.changed = False
        self.ended: ChatEnd | None = None

    def restore(self, state: ChatState, end_to_end_epoch: int) -> None:
        self.state = state
        self.end_to_end_epoch = end_to_end_epoch
        self.stored = True

    def note_answer(self, index: int, key: bytes, end_to_end_epoch: int) -> None:
        """The app behind hop `index` answered an offer: from now on there is something to keep."""
        if not self.app_keys[index]:
            self.app_keys = (self.app_keys[0], key)
        if end_to_end_epoch > 1:  # the first counts once it is confirmed
            self.end_to_end_epoch = max(self.end_to_end_epoch, end_to_end_epoch)
        self.stored = True
        self.note_change()

    def open(self, now: float, *, offered_here: bool) -> None:
        """Both hops have good keys: the chat is open (again)."""
        if self.state is ChatState.PENDING:
            scope = ChannelKind.TIELINE if self._row.spans_nodes else ChannelKind.LEG
            self._effects.report(ChatOpened(self._row.chat_id, scope, now - self.created_at, offered_here))
            self.end_to_end_epoch = max(self.end_to_end_epoch, 1)
        if self.state is not ChatState.ACTIVE:
            self.state = ChatState.ACTIVE
            self.note_change()

    def quarantine(self) -> None:
        self.state = ChatState.QUARANTINED
        self.note_change()
        self._effects.report(ChatQuarantined(self._row.chat_id))

    def end(self, reason: CloseReason, silent: Collection[int], proofs: tuple[EndProof, ...] = ()) -> None:
        """The chat is over on this node."""
        self._effects.report(ChatErased(self._row.chat_id, reason, was_open=self.state is not ChatState.PENDING))
        self.ended = ChatEnd(reason, frozenset(silent), proofs)

    def leave(self) -> None:
        """The chat goes on elsewhere; nobody is told of an end."""
        self.ended = ChatEnd(None, frozenset((0, 1)))

    def note_change(self) -> None:
        """The record has to be stored anew; what the chat sends from here on waits for that."""
        self.changed = True
        self._row.note_put(self._effects.output.number)

    def note_stored(self) -> None:
        self.changed = False
