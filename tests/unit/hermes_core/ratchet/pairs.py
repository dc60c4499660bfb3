"""Two ends of one channel in memory, and how to compare their states: what the ratchet tests share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.ids import ChannelKind, ChatId, app_party, derive_app_id
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.header import build_nonce
from hermes_core.ratchet.state import ChannelSnapshot, EpochSnapshot

CHAT = ChatId(bytes(range(16)))
BINDING = b"\x07" * 32
NONCE = build_nonce(b"a start!")
"""Of every frame here, whatever the channel's kind, unless a test says otherwise."""


class Wired(Channel):
    """A channel on one stream that never ends, so that its nonce goes without saying."""

    def seal(self, plaintext: bytes, now: float, *, nonce: bytes = NONCE, aad_suffix: bytes = b"") -> bytes:
        return super().seal(plaintext, now, nonce=nonce, aad_suffix=aad_suffix)

    def open(self, frame: bytes, now: float, *, nonce: bytes = NONCE, aad_suffix: bytes = b"", may_lack: int = 0) -> bytes:
        return super().open(frame, now, nonce=nonce, aad_suffix=aad_suffix, may_lack=may_lack)


def make_identity(fill: int) -> Identity:
    return Identity.from_seed(SecretBytes.take(bytearray([fill]) * 32))


ALICE = make_identity(1)
BOB = make_identity(2)


@dataclass
class Pair:
    """`a` offered, `b` answered."""

    a: Wired
    b: Wired

    def rekey(self, now: float = 0.0) -> None:
        """A whole exchange for the next epoch, begun by `a`."""
        answer, confirm = self.b.answer_offer(self.a.start_offer(0.0), now)
        tag = self.a.complete(answer, confirm, now)
        self.b.check_confirm(self.a.epoch, tag, now)

    def restart_a(self, snapshot: ChannelSnapshot) -> Wired:
        self.a = restore(snapshot, ALICE, self.a.params)
        return self.a

    def restart_b(self, snapshot: ChannelSnapshot) -> Wired:
        self.b = restore(snapshot, BOB, self.b.params)
        return self.b

    def resume(self, now: float = 0.0, binding: bytes = BINDING) -> None:
        """`a` claims, `b` answers with its claims from before."""
        from_a, from_b = self.a.claims(binding), self.b.claims(binding)
        self.b.resume(from_a, binding, now)
        self.a.resume(from_b, binding, now)


def restore(
    snapshot: ChannelSnapshot, identity: Identity, params: ChannelParams, random: RandomSource = SYSTEM_RANDOM
) -> Wired:
    return Wired.restore(snapshot, chat_id=CHAT, identity=identity, params=params, random=random)


def make_pair(
    kind: ChannelKind = ChannelKind.LEG,
    params: ChannelParams | None = None,
    *,
    randoms: tuple[RandomSource, RandomSource] = (SYSTEM_RANDOM, SYSTEM_RANDOM),
    **changes: object,
) -> Pair:
    """Two ends before their first handshake."""
    chosen = replace(params or ChannelParams(), **changes)  # type: ignore[arg-type]
    parties = app_party(derive_app_id(ALICE.public_key)), app_party(derive_app_id(BOB.public_key))

    def make(identity: Identity, local: int, peer_key: bytes) -> Wired:
        return Wired(
            kind=kind,
            chat_id=CHAT,
            identity=identity,
            local=parties[local],
            peer=parties[1 - local],
            peer_public_key=peer_key,
            params=chosen,
            random=randoms[local],
        )

    return Pair(make(ALICE, 0, BOB.public_key), make(BOB, 1, ALICE.public_key))


def make_ready_pair(kind: ChannelKind = ChannelKind.LEG, params: ChannelParams | None = None, **changes: object) -> Pair:
    """Two ends in epoch 1."""
    pair = make_pair(kind, params, **changes)  # type: ignore[arg-type]
    pair.rekey()
    return pair


def reservations(window: int, count: int) -> list[tuple[int, int]]:
    """At which of the first `count` positions of an epoch a reservation is made, and up to where.

    Of 16, 32, 64 … positions up to the window, when half of the one before is left.
    """
    reserved = size = min(16, window)
    made = [(0, reserved)]
    while (place := reserved - size // 2) < count:
        size = min(2 * size, window)
        reserved += size
        made.append((place, reserved))
    return made


def reserved_after(window: int, count: int) -> int:
    """The reserved position in the record once `count` positions were used."""
    return reservations(window, count)[-1][1]


def relied_on_after(window: int, count: int) -> int:
    """The lowest reservation that covers `count` positions."""
    return next(reserved for _, reserved in reservations(window, count) if reserved >= count)


def describe_state(channel: Channel) -> tuple[object, ...]:
    """Everything a channel would persist, and its positions, as plain comparable values."""
    current, pending = channel.epochs.current, channel.epochs.pending
    return (
        channel.dirty,
        channel.offering,
        channel.send_next,
        channel.recv_next,
        channel.peer_public_key,
        channel.negotiation.seen,
        describe_epoch(None if current is None else current.snapshot(confirmed=True)),
        describe_epoch(None if pending is None else pending.snapshot(confirmed=False)),
    )


def describe_epoch(epoch: EpochSnapshot | None) -> tuple[object, ...] | None:
    if epoch is None:
        return None
    return (
        epoch.epoch,
        epoch.role,
        epoch.suite,
        epoch.transcript_hash,
        epoch.confirmed,
        epoch.recv_proven,
        epoch.created_at_s,
        *(
            (direction.reserved, bytes(direction.chain_key.buffer)) for direction in (epoch.send, epoch.recv)
        ),
        bytes(epoch.mac.buffer),
        bytes(epoch.ratchet.buffer),
    )  # fmt: skip
