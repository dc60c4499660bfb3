"""AppChats: an app's chats as one machine without IO; messages and time go in, messages and events come out.

docs/reference/protocol.md says what flows. The router finds the chat that is meant, and owns what is not one chat's: which
there are, which are over, the stream to the home node, whose timer is next. What a chat does is in chat.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.containment import Containment
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.events import FrameRefused
from hermes_core.endpoint.farewells import Farewells
from hermes_core.endpoint.hop import HopState
from hermes_core.endpoint.keeper import Keeper, restore_chat
from hermes_core.endpoint.output import AppOutput, Collector
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId, app_party, derive_app_id, parse_app_id
from hermes_core.keystore.app_record import AppChatRecord, EndedChatRecord, OutgoingRecord
from hermes_core.protocol.ended import EndedChats
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    ClosedAck,
    Confirm,
    Delete,
    ErrorNotice,
    MoveAnswer,
    Moved,
    MoveOffer,
    MoveWanted,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import parse_frame_chat
from hermes_core.protocol.timers import TimerHeap
from hermes_core.ratchet.header import START_BYTES, build_nonce
from hermes_core.session.keys import StreamKeys

DECISIONS_MS: Final = 1000
"""When who offers a chat may try again, where as many offers wait for a decision as may."""
MAX_REMEMBERED_ENDS: Final = 4096
"""Ended chats whose first offer, sent again, is not taken for a new chat; and deleted ones, whose delete is proven again."""


class AppChats:
    """What the owner asks for raises ProtocolError when it cannot be done; what comes in never raises.

    After an input, or several that came together, `take_output` settles the chats they touched and says what is to be done.
    An exception that nobody foresaw ends the chat that it comes from, and no other: see `AppOutput.defects`.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        params: AppParams,
        random: RandomSource,
        kem: Kem = ML_KEM_768,
        durable: bool = False,
    ) -> None:
        """`durable`: outputs have `changes`, which the owner keeps, and hands back to `restore` in another start."""
        app_id = derive_app_id(identity.public_key)
        self._effects = Collector()
        nonce = build_nonce(generate_bytes(START_BYTES, random))  # app and chats may come back from a backup: another start
        self._context = ChatContext(identity, app_id, app_party(app_id), params, random, kem, self._effects, nonce, durable)
        self._farewells = Farewells(self._effects, params.idle_timeout_s)
        self._keeper = Keeper(self._farewells) if durable else None
        self._home: HomeStream | None = None
        self._chats: dict[ChatId, AppChat] = {}
        self._ended = EndedChats(MAX_REMEMBERED_ENDS)
        self._deletes: OrderedDict[ChatId, Delete] = OrderedDict()
        self._offered: set[ChatId] = set()
        self._touched: dict[ChatId, None] = {}
        self._timers: TimerHeap[ChatId] = TimerHeap()
        self._contain = Containment(self._effects, self._is_at_home)
        self._now = self._ahead_s = 0.0

    @property
    def app_id(self) -> AppId:
        return self._context.app_id

    @property
    def chats(self) -> Mapping[ChatId, AppChat]:
        """Every chat that is not over, to be looked at. Those that have ended go before anybody looks."""
        for chat_id, delete in self._effects.take_ended().items():
            if delete is not None:
                self._deletes[chat_id] = delete
                if len(self._deletes) > MAX_REMEMBERED_ENDS:
                    self._deletes.popitem(last=False)
            chat = self._chats.pop(chat_id)
            if self._keeper is not None:
                self._keeper.end(chat, delete, self._home, self._now + self._ahead_s)
            self._timers.cancel(chat_id)
            self._offered.discard(chat_id)
            self._ended.add(chat_id, self._now)
        return self._chats

    def restore(self, record: AppChatRecord, messages: Iterable[OutgoingRecord], now: float, *, ahead_s: float = 0.0) -> None:
        """Take up a chat that was kept, before the first stream; secrets are copied, the caller wipes the record.

        `messages`: its own, in the order of seq. KeystoreTamperedError when one is missing.
        """
        self._now, self._ahead_s = now, ahead_s
        chat = restore_chat(self._context, record, messages, now, ahead_s)
        self._add(chat)
        if self._keeper is not None:
            self._keeper.note_kept(chat)

    def restore_ended(self, record: EndedChatRecord, date_s: float) -> None:
        """A chat that ended in a former start, and whose home has not said that it knows; `date_s` in seconds since 1970."""
        self._deletes[record.chat_id] = Delete(record.chat_id, record.failed, record.proofs)
        self._farewells.restore(record, date_s)

    @property
    def owes_farewells(self) -> bool:
        """Whether a home has not said that it knows of a chat's end."""
        return bool(self._farewells)

    # the stream

    def connected(self, node_id: NodeId, node_public_key: bytes, keys: StreamKeys, now: float, *, ahead_s: float = 0.0) -> None:
        """A node proved its identity on a new stream with these keys; every chat at home there is resumed.

        `ahead_s`: how far Unix time is ahead of `now`; offers say when they were made.
        """
        if self._home is not None:
            self.disconnected(now)
        self._now, self._ahead_s = now, ahead_s
        self._home = HomeStream(node_id, node_public_key, *keys, ahead_s)
        self._farewells.connected(self._home.party)
        for chat_id in list(self.chats):
            self._contain.run(self._require(chat_id), AppChat.connected, self._home, now)

    def move(self, now: float) -> None:
        """Every chat that is at home elsewhere comes along to the node that is connected."""
        self._now = now
        home = self._home
        for chat_id in list(self.chats):
            chat = self._require(chat_id)
            if home is not None and not self._is_at_home(chat):
                self._contain.run(chat, AppChat.move, home, now)

    def disconnected(self, now: float) -> None:
        """The stream is gone; what was not collected for it is void."""
        self._now = now
        self._home = None
        self._effects.void_sends()
        for chat_id in list(self.chats):
            self._contain.run(self._require(chat_id), AppChat.disconnected, now)

    # what the owner asks for

    def start_chat(self, target: AppId, now: float) -> ChatId:
        """Offer a chat to another app: ChatReady follows, or ChatFailed and ChatEnded.

        ROUTE_UNAVAILABLE without a stream, LIMIT_EXCEEDED, INVALID_FRAME for a bad target.
        """
        self._now = now
        if parse_app_id(target) == self.app_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "an app cannot chat with itself")
        if self._home is None:
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "not connected to a node")
        self._require_room()
        return self._add(AppChat.start(self._context, target, self._home, now))

    def accept(self, chat_id: ChatId, now: float) -> None:
        """Take an offered chat: ChatReady follows, or ChatEnded."""
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.accept, now)
        self._offered.discard(chat_id)

    def reject(self, chat_id: ChatId, code: ErrorCode, now: float) -> None:
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.reject, code)

    def send(self, chat_id: ChatId, content: bytes, now: float) -> int:
        """The message's seq. It leaves when the path is up; BACKPRESSURE when the window is full, INVALID_FRAME over 64 KiB.

        TypeError for anything but bytes.
        """
        self._now = now
        if not isinstance(content, bytes):
            raise TypeError(f"content is bytes, not {type(content).__name__}")
        return self._contain.ask(self._require(chat_id), AppChat.send, content, now)

    def acknowledge(self, chat_id: ChatId, seq: int, now: float) -> None:
        """Everything up to `seq` is safe with this app; anything but a delivered seq is ignored."""
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.acknowledge, seq)

    def rekey(self, chat_id: ChatId, now: float) -> None:
        """Move the chat to its next epoch: ChatRekeyed follows, or ChatFailed. A rekey under way is as good."""
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.rekey, now)

    def withdraw_rekey(self, chat_id: ChatId, now: float) -> None:
        """Nobody waits for it any more: what has not left yet is not offered. A rekey that a node asked for goes on."""
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.withdraw_rekey)

    def delete(self, chat_id: ChatId, now: float) -> None:
        """End the chat for both apps. A node that does not hear of it now does when it names the chat after a reconnect."""
        self._now = now
        self._contain.ask(self._require(chat_id), AppChat.delete)

    def end_all(self, now: float) -> None:
        """The app goes: offers that wait are refused with TARGET_OFFLINE, every other chat is deleted."""
        self._now = now
        for chat_id in list(self.chats):
            self._contain.run(self._require(chat_id), AppChat.end)

    def break_off(self, chat_id: ChatId, defect: Exception) -> None:
        """The owner could not do its part in a chat: it ends. Harmless when it has ended."""
        chat = self._find(chat_id)
        if chat is not None:
            self._contain.end(chat, defect)

    # messages of the home node

    def receive(self, message: ChatMessage, now: float) -> None:
        """One message, its lengths already checked (hermes_core.protocol.validate)."""
        self._now = now
        if self._home is None:
            return
        chat_id = parse_frame_chat(message.frame) if isinstance(message, Sealed) else message.chat_id
        chat = None if chat_id is None else self._find_at_home(chat_id)
        if chat is not None:
            self._contain.run(chat, AppChat.receive, message, now)
        elif chat_id is not None and chat_id in self.chats and isinstance(message, PathState | MoveWanted):
            self._contain.run(self._require(chat_id), AppChat.hear_stranger, message, self._home, now)
        elif isinstance(message, Offer):
            self._take_offer(message, self._home, now)
        else:
            self._receive_stray(message, chat_id)
            self._farewells.hear(chat_id, message, self._home.party)

    def _take_offer(self, offer: Offer, home: HomeStream, now: float) -> None:
        """A chat that is not known here, or not at this home."""
        try:
            if offer.end_to_end.epoch != 1:
                if offer.chat_id not in self.chats:
                    self._delete_again(offer.chat_id)
                return
            if offer.chat_id in self.chats or offer.chat_id in self._ended:
                raise ProtocolError(ErrorCode.CHAT_EXISTS, "the chat is known")  # noqa: TRY301
            if offer.target != self.app_id:
                raise ProtocolError(ErrorCode.TARGET_NOT_FOUND, "it is for another app")  # noqa: TRY301
            self._require_room()
            if len(self._offered) >= self._context.params.max_offers:
                detail = "as many offers as may wait for a decision"
                raise ProtocolError(ErrorCode.HANDSHAKE_THROTTLED, detail, retry_after_ms=DECISIONS_MS)  # noqa: TRY301
            self._offered.add(self._add(AppChat.receive_first(self._context, offer, home, now)))
        except ProtocolError as error:
            self._effects.report(FrameRefused(offer.chat_id, error.code))
            self._effects.send(Reject(offer.chat_id, error.code, error.retry_after_ms))
        except Exception as defect:  # noqa: BLE001 - told as one, and the stream goes on
            self._effects.blame(offer.chat_id, defect)
            self._effects.send(Reject(offer.chat_id, ErrorCode.INTERNAL))

    def _receive_stray(self, message: ChatMessage, chat_id: ChatId | None) -> None:
        """What names no chat that has its home there."""
        match message:
            case Sealed() | Confirm():
                self._effects.report(FrameRefused(chat_id, ErrorCode.CHAT_NOT_FOUND))
            case Answer():
                self._effects.report(FrameRefused(chat_id, ErrorCode.CHAT_NOT_READY))
            case ErrorNotice():
                self._effects.report(FrameRefused(chat_id, message.code))
            case Closed():
                self._effects.send(ClosedAck(message.chat_id, message.reason))
            case PathState() if chat_id not in self.chats:
                self._delete_again(message.chat_id)
            case Delete() | ClosedAck() | MoveOffer():
                self._effects.report(FrameRefused(chat_id, ErrorCode.INVALID_FRAME))
            case MoveWanted():
                self._delete_again(message.chat_id)
            case Offer() | Reject() | Resume() | PathState() | MoveAnswer() | Moved():
                pass  # too late, or of a chat whose home is another node
            case _:
                assert_never(message)

    def _delete_again(self, chat_id: ChatId) -> None:
        """A node names a chat that is over here: deleted, as the other app can see, or one that this app cannot go on with."""
        self._effects.send(self._deletes.get(chat_id) or Delete(chat_id, failed=True))

    # time

    def next_timer(self) -> float | None:
        """When `handle_timer` is due, as of the latest output."""
        return self._timers.next_due()

    def handle_timer(self, now: float) -> None:
        self._now = now
        for chat_id in self._timers.pop_due(now):
            chat = self._find(chat_id)
            if chat is not None:
                self._contain.run(chat, AppChat.handle_timer, now)

    # output

    def take_output(self) -> AppOutput:
        """Messages for the home node, in order, and events for the owner, since the last call."""
        for chat_id in self._touched:
            chat = self.chats.get(chat_id)
            if chat is not None:
                self._contain.run(chat, self._settle)
        self._touched.clear()
        leave_home = self._effects.take_doubt() and not any(map(self._goes_well, self.chats.values()))
        return self._effects.take_output(None if self._keeper is None else self._keeper.take(), leave_home=leave_home)

    def _goes_well(self, chat: AppChat) -> bool:
        """Its home does what a home is for: then another one's trouble may well be that of its other app."""
        return self._is_at_home(chat) and chat.hop.state is HopState.OPEN and not chat.moving.unproven

    def _settle(self, chat: AppChat) -> None:
        chat.settle(self._now)
        if self._keeper is not None:
            self._keeper.collect(chat)
        due = chat.next_timer()
        if due is not None:
            self._timers.schedule(chat.chat_id, due)

    # chats

    def _find(self, chat_id: ChatId) -> AppChat | None:
        """The only way to a chat: whoever gets it may change it, so it is settled before the next output."""
        chat = self.chats.get(chat_id)
        if chat is not None:
            self._touched[chat_id] = None
        return chat

    def _find_at_home(self, chat_id: ChatId) -> AppChat | None:
        """A chat whose home is the node this stream goes to: no other has a say in it, nor the same name with another key.

        One that the chat is moving to has.
        """
        chat = self._find(chat_id)
        return chat if chat is not None and self._is_at_home(chat) else None

    def _is_at_home(self, chat: AppChat) -> bool:
        party = None if self._home is None else self._home.party
        return party is not None and (chat.leg.peer == party or chat.moving.asks(party))

    def _require(self, chat_id: ChatId) -> AppChat:
        chat = self._find(chat_id)
        if chat is None:
            raise ProtocolError(ErrorCode.CHAT_NOT_FOUND, "there is no such chat any more")
        return chat

    def _require_room(self) -> None:
        """LIMIT_EXCEEDED; it says when to try again while some of the chats may come to nothing yet."""
        if len(self.chats) >= self._context.params.max_chats:
            detail, waits = "this app has as many chats as it may have", any(chat.is_undecided for chat in self.chats.values())
            wait_ms = DECISIONS_MS if waits else 0
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=wait_ms)

    def _add(self, chat: AppChat) -> ChatId:
        self._chats[chat.chat_id] = chat
        self._touched[chat.chat_id] = None
        return chat.chat_id
