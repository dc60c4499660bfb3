"""AppChats: an app's chats as one machine without IO; messages and time go in, messages and events come out.

docs/reference/protocol.md says what flows. Parts: handshakes (start, answer, confirm, rekey), frames (frames,
acknowledgements, sending again), delivery (exactly once, in order); here: the stream, resume, time, the end.
"""

from __future__ import annotations

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint import control, frames, handshakes
from hermes_core.endpoint.chat import AppChat, Phase, RekeyWish
from hermes_core.endpoint.events import (
    AppEvent,
    ChatEnded,
    ChatFailed,
    ChatOffered,
    ChatReady,
    ChatRekeyed,
    ChatResumed,
    FrameRefused,
    MessageReceived,
    MessagesAcked,
    PathChanged,
)
from hermes_core.endpoint.output import AppOutput
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.tables import AppTables, HomeStream
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    CloseReason,
    Confirm,
    Offer,
    Reject,
    Sealed,
)
from hermes_core.ratchet.header import MAX_CONTENT_BYTES

__all__ = [
    "AppChats",
    "AppEvent",
    "AppOutput",
    "AppParams",
    "ChatEnded",
    "ChatFailed",
    "ChatOffered",
    "ChatReady",
    "ChatRekeyed",
    "ChatResumed",
    "FrameRefused",
    "MessageReceived",
    "MessagesAcked",
    "PathChanged",
]


class AppChats:
    """What the owner asks for raises ProtocolError when it cannot be done; what comes in never raises."""

    def __init__(self, *, identity: Identity, params: AppParams, random: RandomSource) -> None:
        self._tables = AppTables(identity, params, random)
        self._now = 0.0

    @property
    def app_id(self) -> AppId:
        return self._tables.app_id

    # the stream

    def connected(self, node_id: NodeId, node_public_key: bytes, binding: bytes, now: float) -> None:
        """A node proved its identity on a new stream with this session binding; every chat at home there is resumed."""
        self._now = now
        if self._tables.stream is not None:
            self.disconnected(now)
        stream = self._tables.stream = HomeStream(node_id, node_public_key, binding)
        for chat in list(self._tables.chats.values()):
            if chat.node_id != node_id:
                continue
            if chat.leg.peer != stream.party:  # the node came back as another one: the leg's keys are gone
                self._tables.end_chat(chat, CloseReason.RATCHET_FAILED)
            else:
                control.send_claims(self._tables, chat, stream, now)

    def disconnected(self, now: float) -> None:
        """The stream is gone; what was not collected for it is void."""
        self._now = now
        tables = self._tables
        tables.stream = None
        tables.output.sends.clear()
        for chat in list(tables.chats.values()):
            if chat.phase in {Phase.STARTING, Phase.OFFERED}:
                tables.fail_start(chat, ErrorCode.ROUTE_UNAVAILABLE, "the stream to the node broke")
                continue
            handshakes.interrupt_rekey(chat)
            chat.leg_ready = False
            chat.resume_sent_at = None
            control.set_path(tables, chat, up=False)

    # what the owner asks for

    def start_chat(self, target: AppId, now: float) -> ChatId:
        """Offer a chat to another app: ChatReady follows, or ChatFailed and ChatEnded."""
        self._now = now
        return handshakes.start_chat(self._tables, target, now).chat_id

    def accept(self, chat_id: ChatId, now: float) -> None:
        """Take an offered chat: ChatReady follows, or ChatEnded."""
        self._now = now
        handshakes.accept_chat(self._tables, self._chat(chat_id), now)

    def reject(self, chat_id: ChatId, code: ErrorCode, now: float) -> None:
        self._now = now
        handshakes.reject_chat(self._tables, self._chat(chat_id), code)

    def send(self, chat_id: ChatId, content: bytes, now: float) -> int:
        """The message's seq. It leaves when the path is up; BACKPRESSURE when the window is full, INVALID_FRAME over 64 KiB."""
        self._now = now
        chat = self._chat(chat_id)
        if chat.phase is not Phase.ACTIVE:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)
        if len(content) > MAX_CONTENT_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"a message has at most {MAX_CONTENT_BYTES} bytes")
        params = self._tables.params
        message = chat.outgoing.add(content, params.window_messages, params.window_bytes)
        if chat.can_send:
            frames.transmit_message(self._tables, chat, message, now)
        return message.seq

    def acknowledge(self, chat_id: ChatId, seq: int, now: float) -> None:
        """Everything up to `seq` is safe with this app; anything but a delivered seq is ignored."""
        self._now = now
        if self._chat(chat_id).incoming.acknowledge(seq):
            self._tables.acks_due[chat_id] = None

    def rekey(self, chat_id: ChatId, now: float) -> None:
        """Move the chat to its next epoch: ChatRekeyed follows, or ChatFailed. A rekey under way is as good."""
        self._now = now
        chat = self._chat(chat_id)
        if chat.phase is not Phase.ACTIVE:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)
        handshakes.wish_rekey(self._tables, chat, RekeyWish.OWNER, now)

    def delete(self, chat_id: ChatId, now: float) -> None:
        """End the chat for both apps. A node that does not hear of it now does when it names the chat after a reconnect."""
        self._now = now
        self._tables.give_up(self._chat(chat_id), CloseReason.DELETED)

    def _chat(self, chat_id: ChatId) -> AppChat:
        chat = self._tables.chats.get(chat_id)
        if chat is None:
            raise ProtocolError(ErrorCode.CHAT_NOT_FOUND)
        return chat

    # messages

    def receive(self, message: ChatMessage, now: float) -> None:
        """One message of the home node, its lengths already checked (hermes_core.protocol.validate)."""
        self._now = now
        tables = self._tables
        if tables.stream is None:
            return
        match message:
            case Sealed():
                frames.receive_frame(tables, message, now)
            case Offer():
                handshakes.receive_offer(tables, message, now)
            case Answer():
                handshakes.receive_answer(tables, message, now)
            case Confirm():
                handshakes.receive_confirm(tables, message, now)
            case Reject():
                handshakes.receive_reject(tables, message, now)
            case _:
                control.receive_control(tables, message, now)

    # time

    def next_timer(self) -> float | None:
        return self._tables.timers.next_due()

    def handle_timer(self, now: float) -> None:
        self._now = now
        for chat_id in self._tables.timers.pop_due(now):
            self._handle_chat_timer(self._tables.chats[chat_id], now)

    def _handle_chat_timer(self, chat: AppChat, now: float) -> None:
        tables, params = self._tables, self._tables.params
        if chat.phase is Phase.STARTING and now >= chat.started_at + params.handshake_timeout_s:
            tables.report(ChatFailed(chat.chat_id, ErrorCode.TARGET_OFFLINE, "nobody answered"))
            tables.give_up(chat, CloseReason.ROUTE_UNAVAILABLE)
            return
        if chat.phase is Phase.ACCEPTED and now >= chat.started_at + params.ready_timeout_s:
            tables.give_up(chat, CloseReason.EXPIRED)
            return
        if chat.offered_at is not None and now >= chat.offered_at + params.handshake_timeout_s:
            handshakes.fail_rekey(tables, chat, ErrorCode.TARGET_OFFLINE, "nobody answered", now)
        if chat.rekey_retry_at is not None and now >= chat.rekey_retry_at:
            chat.rekey_retry_at = None  # while the path is down, its coming up is what counts
            handshakes.try_rekey(tables, chat, now)
        if chat.retransmit_at is not None and now >= chat.retransmit_at:
            frames.retransmit(tables, chat, now)
        if chat.resume_sent_at is not None and now >= chat.resume_sent_at + params.resume_retry_s:
            chat.resume_sent_at = None
            if tables.stream is not None and tables.is_home(chat):
                control.send_claims(tables, chat, tables.stream, now)
        chat.end_to_end.handle_timer(now)
        chat.leg.handle_timer(now)
        due = _plan_deadline(chat, params)
        if due is not None:
            tables.timers.schedule(chat.chat_id, due)

    # output

    def take_output(self) -> AppOutput:
        """Messages for the home node, in order, and events for the owner, since the last call."""
        tables = self._tables
        frames.flush_acks(tables, self._now)
        for chat_id in tables.touched:
            chat = tables.chats.get(chat_id)
            due = _plan_deadline(chat, tables.params) if chat is not None else None
            if due is not None:
                tables.timers.schedule(chat_id, due)  # among others, keys derived ahead have to go when the chat falls idle
        tables.touched.clear()
        output, tables.output = tables.output, AppOutput()
        return output


def _plan_deadline(chat: AppChat, params: AppParams) -> float | None:
    """When the chat has to be looked at again."""
    times = [chat.rekey_retry_at, chat.retransmit_at, chat.end_to_end.next_timer(), chat.leg.next_timer()]
    if chat.phase is Phase.ACCEPTED:
        times.append(chat.started_at + params.ready_timeout_s)
    if chat.offered_at is not None:
        times.append(chat.offered_at + params.handshake_timeout_s)
    if chat.resume_sent_at is not None:
        times.append(chat.resume_sent_at + params.resume_retry_s)
    return min((time for time in times if time is not None), default=None)
