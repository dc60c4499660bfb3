"""Which of an app's chats have changed since they were last kept, what is kept of one, and how one goes on from that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.endpoint.agreement import (
    Accepted,
    Active,
    AgreementState,
    Offered,
    Offering,
    Paused,
    RekeyWish,
    Starting,
    Wanted,
)
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.farewells import Farewells
from hermes_core.endpoint.hop import HopInput
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.ids import ChatId, node_of_party
from hermes_core.keystore.app_record import AppChatRecord, AppChatState, EndedChatRecord, KeptMoves, OutgoingRecord
from hermes_core.protocol.messages import Delete
from hermes_core.ratchet.state import Orders

NO_WISH: Final = 0

_Marker = tuple[AppChatState, int, Orders, Orders, KeptMoves]
"""What is kept of a chat and shows in no `dirty`."""


class Keeper:
    """Owns what is to be kept and was not handed out yet."""

    def __init__(self, farewells: Farewells) -> None:
        self._farewells = farewells
        self._changes = KeptChanges()
        self._kept: dict[ChatId, _Marker] = {}

    def note_kept(self, chat: AppChat) -> None:
        """It is as it was kept."""
        self._kept[chat.chat_id] = _mark(chat)

    def collect(self, chat: AppChat) -> None:
        """Take what changed in it; nothing of a chat whose offer nobody has answered."""
        if isinstance(chat.handshake.state, Starting | Offered):
            return
        marker = _mark(chat)
        changed = chat.end_to_end.dirty or chat.leg.dirty or chat.transfer.changed
        if changed or marker != self._kept.get(chat.chat_id):
            self._kept[chat.chat_id] = marker
            chat.transfer.collect(self._changes)
            self._changes.keep_chat(describe_chat(chat))

    def end(self, chat: AppChat, delete: Delete | None, home: HomeStream | None, date_s: float) -> None:
        """It is over: nothing of it stays, but that its home must hear of it: `delete`, if it was this app that ended it.

        Of an end that a node told it says only that it cannot go on: a delete that nobody proves ends nothing at the other app.
        """
        if self._kept.pop(chat.chat_id, None) is not None:
            chat.transfer.collect(self._changes)
            self._changes.end_chat(chat.chat_id)
            told = Delete(chat.chat_id, failed=True) if delete is None else delete
            self._farewells.add(
                EndedChatRecord(chat.chat_id, chat.leg.peer, told.failed, max(0, int(date_s)), told.proofs), home
            )

    def take(self) -> KeptChanges | None:
        self._farewells.collect(self._changes)
        if not self._changes:
            return None
        changes, self._changes = self._changes, KeptChanges()
        return changes


def describe_chat(chat: AppChat) -> AppChatRecord:
    """The caller wipes it; no channel is `dirty` afterwards."""
    outgoing, (state, wish, _, _, moves) = chat.transfer.outgoing, _mark(chat)
    return AppChatRecord(
        chat.chat_id,
        state,
        wish,
        chat.peer,
        node_of_party(chat.leg.peer),
        outgoing.last_seq,
        outgoing.acked,
        chat.transfer.incoming.acked,
        chat.end_to_end.snapshot(),
        chat.leg.snapshot(),
        moves,
    )


def restore_chat(
    context: ChatContext, record: AppChatRecord, messages: Iterable[OutgoingRecord], now: float, ahead_s: float
) -> AppChat:
    """The chat as it was kept, without a stream. `messages` in the order of seq; KeystoreTamperedError when one is missing."""
    channels = ChannelPair.restore(context, record, ahead_s)
    home = HomeStream(record.home, record.leg.peer_public_key, b"", b"", b"", ahead_s)
    chat = AppChat(context, record.peer, home, channels, _restore_state(record, now))
    chat.hop.apply(HopInput.LOSE)
    chat.moving.restore(record.moves)
    chat.transfer.restore(record, messages)
    return chat


def _restore_state(record: AppChatRecord, now: float) -> Accepted | Active | Wanted:
    if record.state is AppChatState.ACCEPTED:
        return Accepted(now)
    return Wanted(RekeyWish(record.wish)) if record.wish else Active()


def _mark(chat: AppChat) -> _Marker:
    state: AgreementState = chat.handshake.state
    kept = AppChatState.ACCEPTED if isinstance(state, Accepted) else AppChatState.ACTIVE
    wish = int(state.wish) if isinstance(state, Wanted | Offering | Paused) else NO_WISH
    return kept, wish, chat.end_to_end.negotiation.orders, chat.leg.negotiation.orders, chat.moving.describe()
