"""What really happened, kept beside the machines, and the invariants it is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hermes_core.endpoint.events import StoresDiffer
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChannelKind, ChatId
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.epoch import Epoch
from hermes_core.relay.events import ChatQuarantined, NodeEvent, ResumeRefused


class ViolationError(AssertionError):
    """A promise was broken."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ViolationError(what)


@dataclass
class ChatLedger:
    """One chat as its two apps lived it; keys are app names."""

    chat_id: ChatId
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    acked: dict[str, int] = field(default_factory=dict)
    ended: dict[str, CloseReason | None] = field(default_factory=dict)
    peers: tuple[str, str] = ("", "")
    ready: set[str] = field(default_factory=set)
    """The apps that have its keys."""

    def other(self, app: str) -> str:
        return self.peers[1] if self.peers[0] == app else self.peers[0]


def shorten(data: bytes) -> bytes:
    """What stands for a frame or a key in the ledger."""
    return hashlib.sha256(data).digest()[:16]


class Ledger:
    """Every frame that went onto a wire, every message that was sent and delivered."""

    def __init__(self) -> None:
        self.chats: dict[ChatId, ChatLedger] = {}
        self._sealed: dict[bytes, bytes] = {}
        self._nonces: dict[bytes, bytes] = {}
        self._keys: dict[tuple[str, bytes], bytes] = {}
        self.delivered = 0
        self.rekeys = 0
        self.moves = 0
        self.ends: dict[CloseReason, int] = {}
        self.steadfast = False
        """Nobody ends a chat on purpose, loses memory or is rolled back: what both apps have keys of never ends."""
        self.rolled_back = False
        """Some node was, at some time."""
        self.ageless = False
        """No chat is idle for so long that it is over, whatever clocks say."""
        self.trace = hashlib.sha256()
        self.tracing = False

    def note(self, *what: object) -> None:
        """Add to the trace of everything that was sent and stored, when one is kept."""
        if self.tracing:
            self.trace.update(repr(what).encode())

    def note_seal(self, key: bytes, nonce: bytes, frame: bytes) -> None:
        """A frame was made; it may never leave. No key and nonce for two plaintexts, whatever came back from a backup."""
        key, digest = shorten(key), shorten(frame)
        self._sealed[digest] = key
        known = self._nonces.setdefault(key + nonce, digest)
        require(known == digest, f"a key and a nonce for two frames, kind {frame[1]}: {frame[:31].hex()}")

    def record_frame(self, sender: str, receiver: str, frame: bytes) -> None:
        """A frame left: no position, which is no key, carries two different ones."""
        digest = shorten(frame)
        key = self._sealed.pop(digest, frame[:31])  # nobody notes keys in a world of which no node is rolled back
        known = self._keys.setdefault((sender, key), digest)
        require(known == digest, f"{sender} used a position twice towards {receiver}: {frame[:31].hex()}")

    def check_verdicts(self, node: str, events: Sequence[NodeEvent]) -> None:
        """A chat is only quarantined for positions that contradict each other once a store was rolled back."""
        for found, then in pairwise(events):
            if (
                isinstance(found, ResumeRefused)
                and found.code is ErrorCode.ROLLBACK_DETECTED
                and isinstance(then, ChatQuarantined)
            ):
                require(self.rolled_back, f"{node} found that a store was rolled back, and none was")

    def forget_positions(self, sender: str) -> None:
        """`sender` was rolled back, and nobody told it: it hands out keys again, under other nonces."""
        self._keys = {place: digest for place, digest in self._keys.items() if place[0] != sender}

    def record_offered(self, app: str, chat_id: ChatId) -> None:
        """An app that lost its memory cannot know an old offer that is sent again; nothing can come of it."""
        chat = self.chats[chat_id]
        require(chat.ended.get(app) is None, f"{app} was offered a chat again that it knows to be over")
        if app in chat.ended:
            del chat.ended[app]
            chat.received.pop(app, None)

    def record_sent(self, app: str, chat_id: ChatId, seq: int, content: bytes) -> None:
        sent = self.chats[chat_id].sent.setdefault(app, [])
        sent.append(content)
        require(seq == len(sent), f"seq {seq} is not the next one")

    def record_received(self, app: str, chat_id: ChatId, seq: int, content: bytes) -> None:
        """Exactly once, in order, unchanged."""
        chat = self.chats[chat_id]
        expected = chat.received.get(app, 0) + 1
        require(seq == expected, f"{app} got seq {seq} instead of {expected}")
        sent = chat.sent.get(chat.other(app), [])
        require(len(sent) >= seq and sent[seq - 1] == content, f"{app} got what was never sent as seq {seq}")
        chat.received[app] = seq
        self.delivered += 1

    def record_acked(self, app: str, chat_id: ChatId, seq: int) -> None:
        """An acknowledgement says no more than the other app took, and rises."""
        chat = self.chats[chat_id]
        require(seq <= chat.taken.get(chat.other(app), 0), f"{app} got an acknowledgement of what was not taken")
        require(seq > chat.acked.get(app, 0), "acknowledgements rise")
        chat.acked[app] = seq

    def record_end(self, app: str, chat_id: ChatId, reason: CloseReason | None) -> None:
        chat = self.chats[chat_id]
        require(app not in chat.ended, f"{app} heard twice of the end of {chat_id.hex()}")
        require(
            not (self.steadfast and len(chat.ready) == 2), f"{app} was told {reason} of {chat_id.hex()}, and nobody ended it"
        )
        require(
            not (self.ageless and len(chat.ready) == 2 and reason is CloseReason.EXPIRED),
            f"{app} was told that {chat_id.hex()} was idle for too long, and it was not",
        )
        chat.ended[app] = reason
        if reason is not None:
            self.ends[reason] = self.ends.get(reason, 0) + 1

    def record_restart(self, app: str, chat_id: ChatId, taken: int, acked: int) -> None:
        """The app goes on from what its volume says that it took, and knows to be acknowledged."""
        chat = self.chats[chat_id]
        chat.received[app] = chat.taken[app] = taken
        chat.acked[app] = acked

    def record_put_back(self, app: str, event: StoresDiffer) -> None:
        """It goes on after what its volume had forgotten."""
        chat = self.chats[event.chat_id]
        chat.received[app] = chat.taken[app] = max(event.received.last, chat.received.get(app, 0))

    def record_crash(self, app: str, live: list[ChatId]) -> None:
        """The app forgets its chats, and those that had ended."""
        for chat_id, chat in self.chats.items():
            if chat_id in live or app in chat.ended:
                chat.ended[app] = None


class ChannelWatch:
    """Follows one channel object: epochs only rise, positions of an epoch too, no suite falls; at the end every key is zero."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._epoch = 0
        self._positions = (0, 0)
        self._suite = channel.suite
        self._epochs: dict[int, Epoch] = {}

    def watches(self, channel: Channel | None) -> bool:
        return channel is self._channel

    def follow(self, channel: Channel) -> ChannelWatch:
        """This watch, or, when a moved hop has taken its place, one of that; nothing is left of the former then."""
        if channel is self._channel:
            return self
        self.check_wiped()
        return ChannelWatch(channel)

    def check(self) -> None:
        channel = self._channel
        if channel.epoch < self._epoch:
            self._check_new_start()
        positions = (channel.send_next, channel.recv_next)
        if channel.epoch == self._epoch:
            require(positions[0] >= self._positions[0] and positions[1] >= self._positions[1], "a position fell")
        require(channel.send_next <= channel.send_reserved, "sent beyond the reservation")
        if self._suite is not None and channel.suite is not None:
            require(not channel.suite.is_below(self._suite), "a channel went below its suite")
        self._epoch, self._positions, self._suite = channel.epoch, positions, channel.suite or self._suite
        for epoch in (channel.epochs.current, channel.epochs.pending, channel.epochs.old):
            if epoch is not None:
                self._epochs[id(epoch)] = epoch
        if len(self._epochs) > 8:
            self._drop_wiped()

    def _check_new_start(self) -> None:
        """A hop whose ends share no epoch begins anew, with nothing left of what was; an end-to-end channel never does."""
        channel = self._channel
        require(channel.kind is not ChannelKind.END_TO_END, f"epoch fell from {self._epoch} to {channel.epoch}")
        for epoch in self._epochs.values():
            require(epoch in {channel.epochs.current, channel.epochs.pending} or is_wiped(epoch), "keys outlive a new start")

    def _drop_wiped(self) -> None:
        self._epochs = {key: epoch for key, epoch in self._epochs.items() if not is_wiped(epoch)}
        require(len(self._epochs) <= 3, "a channel keeps keys of epochs it has left")

    def check_wiped(self) -> None:
        for epoch in self._epochs.values():
            require(is_wiped(epoch), "keys of an ended chat were not wiped")


def is_wiped(epoch: Epoch) -> bool:
    """Every key of an epoch is gone."""
    chains = (epoch.send, epoch.recv)
    return epoch.mac.wiped and epoch.ratchet.wiped and not any(any(chain._key) or any(chain._reserved_key) for chain in chains)
