"""What is on its way in one chat, in both directions: sent again until it is acknowledged, handed over once and in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.crypto.encoding import u64
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.claims import PeerClaims
from hermes_core.endpoint.context import ChatContext
from hermes_core.endpoint.delivery import Incoming, Outgoing, OutgoingMessage
from hermes_core.endpoint.events import MessageReceived, MessagesAcked, PeerHeard, StoresDiffer
from hermes_core.endpoint.hop import Hop
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.keystore.app_record import AppChatRecord, OutgoingRecord
from hermes_core.protocol.payload import (
    ACK,
    CLAIM_ASK,
    DATA,
    encode_ack,
    encode_data,
    parse_ack,
    parse_ask,
    parse_claim,
    parse_data_frame,
    parse_kind_and_seq,
)
from hermes_core.ratchet.chat_claim import MessageCursor
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES, unpad
from hermes_core.values import dataclass

NOT_SHARED: Final = frozenset({ErrorCode.KEY_VERSION_MISMATCH, ErrorCode.CHAT_NOT_READY})
"""What opening a frame says of an epoch that this end does not hold, or does not use."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame of the leg brought: `authentic` when the other app itself has said something with it, just now or before."""

    authentic: bool
    differ: StoresDiffer | None = None


class Transfer:
    """Owns the messages, the acknowledgement that is owed, and the wait for the one that is expected.

    Whether anything can be sent at all is the chat's to know: it asks for sending only then.
    """

    __slots__ = (
        "_ack_owed",
        "_changed",
        "_channels",
        "_context",
        "_hop",
        "_kept_seqs",
        "_unshared_since",
        "_wait_s",
        "claims",
        "incoming",
        "outgoing",
        "resend_due",
    )

    def __init__(self, context: ChatContext, channels: ChannelPair, hop: Hop) -> None:
        self._context = context
        self._channels = channels
        self._hop = hop
        self.outgoing = Outgoing()
        self.incoming = Incoming()
        self.claims = PeerClaims(context, channels, hop)
        self._ack_owed = False
        self._unshared_since: float | None = None
        self.resend_due: float | None = None
        self._wait_s = 0.0
        self._changed: dict[int, OutgoingMessage | None] = {}
        """Of a durable chat, by seq: messages to keep, or (None) to keep no longer."""
        self._kept_seqs = (0, 0, 0)

    # out

    def add(self, content: bytes) -> OutgoingMessage:
        """The message with the next seq; BACKPRESSURE when the window is full, INVALID_FRAME over 64 KiB."""
        if len(content) > MAX_CONTENT_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"a message has at most {MAX_CONTENT_BYTES} bytes")
        if self.claims.blocked:
            raise ProtocolError(ErrorCode.BACKPRESSURE, "the other app has not said yet where it stands")
        params = self._context.params
        message = self.outgoing.add(content, params.window_messages, params.window_bytes, padding=params.padding)
        self._note_changed(message)
        return message

    def send(self, message: OutgoingMessage, now: float) -> None:
        """Send one message over the leg."""
        sealed_in = message.epoch
        if self.claims.blocked and sealed_in != self._channels.end_to_end.epoch:
            return  # it would be new
        frame = message.build_frame(self._channels.end_to_end, self._context.content_nonce, now)
        if message.epoch != sealed_in:
            self._note_changed(message)
        self._hop.send(encode_data(message.seq, frame), now)
        self.expect_ack(now)

    def send_all(self, now: float) -> None:
        """Everything the other app may lack, in order: the path has come up, or nothing was acknowledged for too long."""
        self._channels.repeat_confirm()
        if self.incoming.acked:
            self._send_ack(now)
        for message in self.outgoing:
            self.send(message, now)
        self.expect_ack(now)

    def settle(self, now: float, *, can_send: bool) -> None:
        """One acknowledgement for everything since the last; without a way it follows when the path comes up."""
        if can_send:
            self.claims.ask(self.cursor, now)
        else:
            self.claims.lose_path()
        if self._ack_owed and can_send:
            self._send_ack(now)
        self._ack_owed = False

    def _send_ack(self, now: float) -> None:
        """Acknowledge what the app has taken; also shows the peer that its confirmation arrived."""
        self._ack_owed = False
        seq = self.incoming.acked
        self._hop.send(encode_ack(seq, *self._channels.end_to_end.ack_tag(seq)), now)

    # the wait for an acknowledgement

    @property
    def owed(self) -> bool:
        """The other app has not shown yet that it has every message, or our confirmation of the end-to-end epoch."""
        return bool(self.outgoing) or self._channels.end_to_end.confirm_tag() is not None

    def expect_ack(self, now: float) -> None:
        """Wait for an acknowledgement, if there is something to acknowledge."""
        if self.resend_due is None and self.owed:
            self._wait_s = self._wait_s or self._context.params.retransmit_s
            self.resend_due = now + self._wait_s

    def restart_wait(self) -> None:
        """The path has come up: the next wait is the shortest again, and what was refused so far may come otherwise."""
        self._wait_s = 0.0
        self._note_shared()

    def end_wait(self, now: float, *, can_send: bool) -> None:
        """The wait is over; the next one is longer."""
        self.resend_due = None
        if can_send and self.owed:
            self._wait_s = min(2 * self._wait_s, self._context.params.retransmit_max_s)
            self.send_all(now)

    # in

    def receive(self, payload: bytes, now: float) -> Heard:
        """What a frame of the leg held. A store that was put back asks for new keys, and whoever holds it hears of it."""
        kind, seq = parse_kind_and_seq(payload)
        if kind == DATA:
            return Heard(authentic=self._receive_data(seq, parse_data_frame(payload), now))
        if kind == ACK:
            self._receive_ack(payload, now)
            return Heard(authentic=True)
        if kind == CLAIM_ASK:
            if self.claims.answer(parse_ask(payload), self.cursor, now):
                self.incoming.clear()  # whoever comes back may say something else than what is held for a gap
            return Heard(authentic=False)
        return self._receive_claim(payload, now)

    @property
    def cursor(self) -> MessageCursor:
        return MessageCursor(self.outgoing.last_seq, self.incoming.delivered, self.outgoing.acked + 1)

    def _receive_claim(self, payload: bytes, now: float) -> Heard:
        claims = self.claims
        was_awaited, was_blocked = claims.awaited, claims.blocked
        try:
            differ = claims.take(claim := parse_claim(payload), self.cursor)
        except ProtocolError as error:
            self.note_refusal(error.code, now)
            raise
        if not was_awaited or claims.awaited:
            return Heard(authentic=False)
        self._note_shared()
        self._take_cursor(claim.cursor)
        if was_blocked:
            self._context.effects.report(PeerHeard(self._channels.chat_id))
        return Heard(authentic=True, differ=differ)

    def _take_cursor(self, theirs: MessageCursor) -> None:
        """Go on after what the other app has had and we do not know of, and after what it cannot send again.

        What it has had of the messages that we keep is no acknowledgement: its owner may not have taken them.
        """
        if theirs.delivered > self.outgoing.last_seq:
            self._note_dropped(self.outgoing.acked + 1, self.outgoing.last_seq)
            self.outgoing.skip_to(theirs.delivered)
            self._context.effects.report(MessagesAcked(self._channels.chat_id, theirs.delivered))
        if theirs.lowest > self.incoming.delivered + 1:
            self.incoming.skip_to(theirs.lowest - 1)

    def _receive_data(self, seq: int, frame: bytes, now: float) -> bool:
        params, incoming = self._context.params, self.incoming
        if not incoming.hold(seq, frame, params.window_messages, params.window_bytes):
            self._ack_owed = True  # sent again: our acknowledgement may be lost
            return False
        before = incoming.delivered
        while (next_frame := incoming.next_frame()) is not None:
            # After a rekey the first frame may lack those of messages that came before it and were not acknowledged yet.
            suffix = u64(incoming.delivered + 1)
            try:
                plaintext = self._channels.end_to_end.open(next_frame, now, aad_suffix=suffix, may_lack=params.window_messages)
            except ProtocolError as error:
                if error.code in NOT_SHARED and self._unshared_since is None:
                    self._unshared_since = now
                raise
            self._note_shared()
            content = unpad(plaintext)
            self._context.effects.report(MessageReceived(self._channels.chat_id, incoming.deliver(), content))
        return incoming.delivered > before

    def _receive_ack(self, payload: bytes, now: float) -> None:
        seq, epoch, tag = parse_ack(payload)
        self._channels.end_to_end.check_ack(seq, epoch, tag)
        self._note_shared()
        was_acked = self.outgoing.acked
        if self.outgoing.acknowledge(seq):
            self._note_dropped(was_acked + 1, seq)
            self.resend_due = None
            self._wait_s = 0.0
            self.expect_ack(now)
            self._context.effects.report(MessagesAcked(self._channels.chat_id, seq))

    # messages nobody here can open

    def note_epoch(self) -> None:
        """A new epoch is shared."""
        self._note_shared()
        self.claims.note_epoch()

    def note_refusal(self, code: ErrorCode, now: float) -> None:
        """A claim of the other app, or our rekey there, was of an epoch that is not held: perhaps none is shared any more."""
        if code in NOT_SHARED:
            self.claims.note_unshared()
            self._unshared_since = now if self._unshared_since is None else self._unshared_since

    def _note_shared(self) -> None:
        """Something authentic came."""
        self._unshared_since = None
        self.claims.note_shared()

    @property
    def unshared_due(self) -> float | None:
        """When the other app has sent messages in an epoch that is not shared for too long, and nothing else."""
        return None if self._unshared_since is None else self._unshared_since + self._context.params.no_common_epoch_s

    # from the owner, and the end

    def acknowledge(self, seq: int) -> None:
        """The app has taken everything up to `seq`; anything but a delivered seq is ignored."""
        if self.incoming.acknowledge(seq):
            self._ack_owed = True
            if self._context.durable:
                self._channels.end_to_end.settle(self.incoming.delivered - seq)

    def owe_ack(self) -> None:
        """Show the peer that its confirmation arrived, or that frames come through at all."""
        self._ack_owed = True

    # what outlives this start

    def restore(self, record: AppChatRecord, messages: Iterable[OutgoingRecord]) -> None:
        """Go on from what was kept; KeystoreTamperedError when a message is missing."""
        self.outgoing.restore(record.acked, record.last_seq, messages)
        self.incoming.restore(record.taken)
        self.claims.await_first()
        self._kept_seqs = self._seqs

    @property
    def changed(self) -> bool:
        return bool(self._changed) or self._seqs != self._kept_seqs

    @property
    def _seqs(self) -> tuple[int, int, int]:
        return self.outgoing.last_seq, self.outgoing.acked, self.incoming.acked

    def collect(self, changes: KeptChanges) -> None:
        """Hand over which messages to keep, and which no longer."""
        chat_id = self._channels.chat_id
        for seq, message in self._changed.items():
            if message is None:
                changes.drop_message(chat_id, seq)
            else:
                changes.keep_message(message.describe(chat_id))
        self._changed.clear()
        self._kept_seqs = self._seqs

    def _note_changed(self, message: OutgoingMessage) -> None:
        if self._context.durable:
            self._changed[message.seq] = message

    def _note_dropped(self, first: int, last: int) -> None:
        if self._context.durable:
            self._changed.update(dict.fromkeys(range(first, last + 1)))

    def clear(self) -> None:
        self._note_dropped(self.outgoing.acked + 1, self.outgoing.last_seq)
        self.outgoing.clear()
        self.incoming.clear()
