"""The sans-IO chat machine, driven from an event loop: clock, timer, outbound queue, and events turned into Chat objects."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from hermes_client.chat import Chat
from hermes_client.commits import CommitQueue
from hermes_client.errors import ClientClosedError
from hermes_client.host import ClientHost
from hermes_client.signal import Signal
from hermes_client.store import AppStore
from hermes_client.store_file import KeptChat
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import AppEvent, ChatEnded, ChatOffered, FrameRefused
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode, HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.app_record import EndedChatRecord
from hermes_core.protocol.messages import ChatMessage
from hermes_core.session.keys import StreamKeys
from hermes_wire.app import ClientMessage
from hermes_wire.late_timers import InputsFirst

_log = logging.getLogger("hermes.client")


class AppDriver:
    """Everything here is plain code on one event loop. `wake` is set when the machine has something to send."""

    def __init__(self, identity: Identity, params: AppParams, host: ClientHost, store: AppStore | None = None) -> None:
        durable = store is not None
        self._machine = AppChats(identity=identity, params=params, random=host.random, kem=host.kem, durable=durable)
        self._commits = None if store is None else CommitQueue(store.commit, self._release, self.fail)
        self._loop = asyncio.get_running_loop()
        self._wall = host.wall
        self._timer = InputsFirst(self._loop.time, self._handle_timer)
        self._to_acknowledge: dict[ChatId, int] = {}
        self.outbound: deque[ClientMessage] = deque()
        self.wake = asyncio.Event()
        self.home_doubted = asyncio.Event()
        """Another node should become home."""
        self.chats: dict[ChatId, Chat] = {}
        self.offers: deque[ChatOffered] = deque()
        self.offered = Signal()
        self.ended = Signal()
        self.connected = False
        self.owes_delete = False
        """A chat was deleted since the last session began: whether its node heard of it, nobody says."""
        self.failure: HermesError | None = None
        """Why the client was closed, when its owner did not."""
        self._closed = False
        self._hang_up: ProtocolError | None = None
        self._leaves_home = False

    @property
    def app_id(self) -> AppId:
        return self._machine.app_id

    @property
    def closed(self) -> bool:
        """Nothing works any more."""
        return self._closed

    @property
    def owes_farewells(self) -> bool:
        """Whether the home of a chat that ended, in whichever start, has not said that it knows."""
        return self._machine.owes_farewells

    def restore(self, kept: Iterable[KeptChat], ended: Iterable[EndedChatRecord] = ()) -> None:
        """Take up the chats of a former start, and the ends that are still to be told.

        KeystoreTamperedError when something of a chat is missing.
        """
        now = self._loop.time()
        for record in ended:
            self._machine.restore_ended(record, self._wall())
        self.owes_delete = self.owes_farewells
        for chat in kept:
            self._machine.restore(chat.record, chat.messages, now, ahead_s=self._wall() - now)
        for chat_id, machine in self._machine.chats.items():
            self.chats[chat_id] = Chat.restore(self, machine)
        self._absorb()

    async def wait_kept(self) -> None:
        """Until everything that was asked for so far is durable; at once without a store."""
        if self._commits is not None:
            await self._commits.wait_durable()

    def check_open(self) -> None:
        """ClientClosedError once it is closed, or why it was."""
        if self._closed:
            raise self.failure or ClientClosedError("the client is closed")

    def connect(self, node_id: NodeId, node_key: bytes, keys: StreamKeys) -> None:
        """A session stands: the machine resumes its chats over it."""
        self._void_sends()
        self.connected = True
        self._hang_up = None
        self.home_doubted.clear()
        self.owes_delete = False
        now = self._loop.time()
        try:
            self._machine.connected(node_id, node_key, keys, now, ahead_s=self._wall() - now)
        finally:
            self._absorb()

    def move(self) -> None:
        """Chats that are at home elsewhere come along to the node that is connected."""
        try:
            self._machine.move(self._loop.time())
        finally:
            self._absorb()

    def disconnect(self) -> None:
        """The session is gone; what was queued for it is void, the machine keeps what must be sent again."""
        self.connected = False
        self.owes_delete = self.owes_delete or self.owes_farewells
        self._void_sends()
        try:
            self._machine.disconnected(self._loop.time())
        finally:
            self._absorb()

    def take_doubt(self) -> bool:
        """Whether the session ended because its node did not do as a home."""
        doubts, self._leaves_home = self._leaves_home, False
        return doubts

    def receive(self, message: ChatMessage) -> None:
        self._machine.receive(message, self._loop.time())

    def received_batch(self) -> None:
        """After the last `receive` of a batch: hand out the events. Raises what the session has to end with."""
        self._absorb()
        error, self._hang_up = self._hang_up, None
        if error is not None:
            raise error

    def start_chat(self, target: AppId) -> Chat:
        chat_id = self._machine.start_chat(target, self._loop.time())
        chat = self.chats[chat_id] = Chat(self, chat_id, target)
        self._absorb()
        return chat

    def accept(self, offer: ChatOffered) -> Chat:
        """CHAT_NOT_FOUND for an offer that is over, CHAT_NOT_READY for one that was decided already; nothing changes then."""
        try:
            self._machine.accept(offer.chat_id, self._loop.time())
            chat = self.chats[offer.chat_id] = Chat(self, offer.chat_id, offer.app_id)
        finally:
            self._absorb()
        return chat

    def reject(self, chat_id: ChatId, code: ErrorCode) -> None:
        try:
            self._machine.reject(chat_id, code, self._loop.time())
        finally:
            self._absorb()

    def try_send(self, chat_id: ChatId, content: bytes) -> int | None:
        """The message's seq, or None when the window is full."""
        try:
            return self._machine.send(chat_id, content, self._loop.time())
        except ProtocolError as error:
            if error.code is not ErrorCode.BACKPRESSURE:
                raise
            return None
        finally:
            self._absorb()

    def acknowledge(self, chat_id: ChatId, seq: int) -> None:
        """The app took this message. Acknowledgements are cumulative: only the highest before a batch leaves is sent."""
        self._to_acknowledge[chat_id] = max(seq, self._to_acknowledge.get(chat_id, 0))
        self.wake.set()

    def flush_acknowledgements(self) -> None:
        """Turn what the app took since the last batch into one acknowledgement a chat."""
        pending, self._to_acknowledge = self._to_acknowledge, {}
        for chat_id, seq in pending.items():
            with suppress(ProtocolError):  # it has just ended
                self._machine.acknowledge(chat_id, seq, self._loop.time())
        if pending:
            self._absorb()

    def rekey(self, chat_id: ChatId) -> None:
        try:
            self._machine.rekey(chat_id, self._loop.time())
        finally:
            self._absorb()

    def withdraw_rekey(self, chat_id: ChatId) -> None:
        """Nobody waits for a rekey any more; harmless when there is none, or no such chat."""
        if not self._closed:
            with suppress(ProtocolError):
                self._machine.withdraw_rekey(chat_id, self._loop.time())
            self._absorb()

    def delete(self, chat_id: ChatId) -> None:
        self.owes_delete = True
        try:
            self._machine.delete(chat_id, self._loop.time())
        finally:
            self._absorb()

    def discard(self, chat_id: ChatId) -> None:
        """Delete a chat that came to nothing; harmless when it has ended."""
        if chat_id in self.chats and not self._closed:
            with suppress(ProtocolError):
                self.delete(chat_id)

    def end_chats(self) -> None:
        """Delete every chat, and refuse the offers that wait: keys are wiped now, the node is told when the stream lets it."""
        self.owes_delete = True
        try:
            self._machine.end_all(self._loop.time())
        finally:
            self._absorb()

    def live_chats(self) -> list[Chat]:
        return list(self.chats.values())

    def close(self, failure: HermesError | None = None) -> None:
        """Wipe what there is and wake everyone who waits; nothing works afterwards. `failure`: what they are told."""
        if self._closed:
            return
        self._closed = True
        self.failure = failure
        if self._commits is not None:
            self._commits.stop(failure or ClientClosedError("the client is closed"))
        self._timer.cancel()
        self._machine.end_all(self._loop.time())
        self._machine.take_output()
        waiting, self.chats = self.chats, {}
        for signal in (self.offered, self.ended, *(chat.changed for chat in waiting.values())):
            signal.notify()

    def _absorb(self) -> None:
        """What the machine wants done. The timer is set again whatever becomes of it."""
        try:
            while self._absorb_once():
                pass
        finally:
            if not self._closed:
                self._timer.set(self._machine.next_timer())

    def _absorb_once(self) -> bool:
        """Whether a chat was broken off for what it was told, so that there is more."""
        output = self._machine.take_output()
        self._hang_up = self._hang_up or output.hang_up
        if output.leave_home and self.connected:
            self._leaves_home = True
            self.home_doubted.set()
        if self._commits is None:
            self._release(output.sends)
        else:
            self._commits.add(output)
        for chat_id, defect in output.defects:
            self._note_defect(chat_id, defect)
        broken = False
        for event in output.events:
            try:
                self._dispatch(event)
            except Exception as defect:  # noqa: BLE001 - the other chats are told what is theirs
                if event.chat_id is not None:
                    self._machine.break_off(event.chat_id, defect)
                    broken = True
        return broken

    def _note_defect(self, chat_id: ChatId, defect: Exception) -> None:
        _log.error("chat %s ended by a defect", chat_id.hex()[:8], exc_info=defect)
        if not self.connected:
            self.owes_delete = True

    def _release(self, sends: list[ChatMessage]) -> None:
        """To the node, if there is still one."""
        if self.connected and sends:
            self.outbound.extend(sends)
            self.wake.set()

    def _void_sends(self) -> None:
        self.outbound.clear()
        if self._commits is not None:
            self._commits.void_sends()

    def fail(self, error: HermesError) -> None:
        """The store is of no use any more, and chats that are not kept must not go on."""
        _log.error("the store failed: %s", error)
        self.close(error)

    def _handle_timer(self) -> None:
        try:
            self._machine.handle_timer(self._loop.time())
        finally:
            self._absorb()

    def _dispatch(self, event: AppEvent) -> None:
        if isinstance(event, ChatOffered):
            self.offers.append(event)
            self.offered.notify()
            return
        if isinstance(event, ChatEnded):
            self.offers = deque(offer for offer in self.offers if offer.chat_id != event.chat_id)
        if isinstance(event, FrameRefused):
            _log.debug("a frame was refused: %s", event.code.name)
            return
        chat = self.chats.get(event.chat_id) if event.chat_id is not None else None
        if chat is None:
            return
        try:
            chat.apply(event)
        finally:
            if isinstance(event, ChatEnded):
                self.chats.pop(chat.chat_id, None)
                self._to_acknowledge.pop(chat.chat_id, None)
                self.ended.notify()
