"""Mutants in the core: what a node's and an app's machines decide, and the ratchet beneath them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from hermes_core.crypto import aead
from hermes_core.crypto.aead import KEY_BYTES, NONCE_BYTES
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi
from hermes_core.endpoint import router as endpoint_router
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.context import HomeStream
from hermes_core.endpoint.hop import Hop as AppHop
from hermes_core.endpoint.router import AppChats
from hermes_core.endpoint.transfer import Transfer
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChannelKind
from hermes_core.protocol.messages import CloseReason, Delete
from hermes_core.protocol.timers import TimerHeap
from hermes_core.ratchet.chain import CHAIN_KEY_BYTES, Chain
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.epochs import Epochs
from hermes_core.ratchet.header import POSITION_END, PREFIX_BYTES
from hermes_core.ratchet.negotiation import Negotiation
from hermes_core.ratchet.state import DirectionSnapshot
from hermes_core.relay.chat import Chat
from hermes_core.relay.hop import Hop
from hermes_core.relay.live_chats import LiveChats
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.rows import Row
from hermes_core.relay.sessions import Sessions
from hermes_core.relay.standing import Standing
from hermes_core.relay.tombstones import Tombstones
from hermes_core.session import connect, join
from hermes_core.session.keys import SessionKeys, derive_session_keys
from tests.simulation.invariants.codes import NoHonestPartyIsAccused
from tests.simulation.invariants.ends import EndsSayWhy
from tests.simulation.invariants.keys import NoKeyForTwoPlaintexts
from tests.simulation.invariants.order import HopsKeepTheOrder
from tests.simulation.invariants.paths import PathsComeUp
from tests.simulation.invariants.remains import NothingRemains
from tests.simulation.invariants.reservations import PositionsAreReserved
from tests.simulation.mutants.mutant import NO_DEFECT, Catalogue, Patches, Room, do_nothing

CORE = Catalogue(Room.CORE)

# positions and keys


@CORE.add("chats-stay", "A chat whose home has gone, or has lost it, waits there for ever.", PathsComeUp.name, starts_at=1)
def _(patches: Patches) -> None:
    patches.set(AppChat, "move", do_nothing)


@CORE.add(
    "reservation-unsaved", "A chain crosses into a new window, and its record is not stored anew.", PositionsAreReserved.name
)
def _(patches: Patches) -> None:
    patches.set(Epochs, "reserve", lambda self, chain, position, now, *_: chain.reserve(position, self._params.window, now))


@CORE.add(
    "beyond-the-durable",
    "Frames go beyond what is durable: a reservation that was made early counts before it is on the disk.",
    PositionsAreReserved.name,
    starts_at=4,
)
def _(patches: Patches) -> None:
    patches.set(Row, "rely_on_early", do_nothing)


@CORE.add("reused-nonce", "A record says the position in use, where a restart then begins again.", PositionsAreReserved.name)
def _(patches: Patches) -> None:
    def snapshot(self: Chain) -> DirectionSnapshot:
        key = SecretBytes(CHAIN_KEY_BYTES)
        key.buffer[:] = self._key
        return DirectionSnapshot(self.next, key)

    patches.set(Chain, "snapshot", snapshot)


@CORE.add("short-keys", "A message key has one byte of its chain's, so that positions share keys.", NoKeyForTwoPlaintexts.name)
def _(patches: Patches) -> None:
    def message_key(self: Chain, position: int) -> Any:
        key = former(self, position)
        ffi.memmove(key + 1, bytes(KEY_BYTES - 1), KEY_BYTES - 1)
        return key

    former = patches.set(Chain, "message_key", message_key)


@CORE.add(
    "hop-nonce-constant",
    "Every stream has the same nonce, so that an app whose store is an older copy seals with keys and nonces it had used.",
    NoKeyForTwoPlaintexts.name,
    schedule="mended-a-nonce-comes-back-with-an-old-store.json",
)
def _(patches: Patches) -> None:
    def derive(*args: Any, **more: Any) -> SessionKeys:
        keys = derive_session_keys(*args, **more)
        keys.stream = keys.stream._replace(send_nonce=bytes(NONCE_BYTES), receive_nonce=bytes(NONCE_BYTES))
        return keys

    for module in (connect, join):
        patches.set(module, "derive_session_keys", derive)


@CORE.add(
    "hop-nonce-not-moved",
    "An app goes on with the nonces of its chat's first stream.",
    NoHonestPartyIsAccused.name,
    starts_at=3,
)
def _(patches: Patches) -> None:
    def connect(self: AppHop, home: HomeStream, now: float) -> None:
        nonces = self._home.send_nonce, self._home.receive_nonce
        former(self, HomeStream(home.node_id, home.public_key, home.binding, *nonces, home.ahead_s), now)

    former = patches.set(AppHop, "connect", connect)


@CORE.add("gap-followed", "A receiver steps over positions that are missing on a hop.", HopsKeepTheOrder.name, starts_at=4999)
def _(patches: Patches) -> None:
    def open_frame(self: Channel, frame: bytes, now: float, **more: Any) -> bytes:
        epoch = self.epochs.current
        if self.kind is not ChannelKind.END_TO_END and epoch is not None and frame.startswith(epoch.recv_prefix):
            position, chain = int.from_bytes(frame[PREFIX_BYTES:POSITION_END], "big"), epoch.recv
            if 0 < position - chain.next <= self.params.max_skip:
                opened = aead.open_frame(chain.message_key(position), more["nonce"], frame, POSITION_END, frame[:POSITION_END])
                if position >= chain.mark:
                    self.epochs.reserve(chain, position, now)
                epoch.accept(position)
                return opened
        return cast("bytes", former(self, frame, now, **more))

    former = patches.set(Channel, "open", open_frame)


@CORE.add("start-constant", "Every start of an app seals its content with the same nonce.", NoKeyForTwoPlaintexts.name)
def _(patches: Patches) -> None:
    patches.set(endpoint_router, "build_nonce", lambda _start: bytes(NONCE_BYTES))


@CORE.add(
    "resume-ignores-peer",
    "A resume does not skip the positions that the peer passed over.",
    NoHonestPartyIsAccused.name,
    starts_at=11,
)
def _(patches: Patches) -> None:
    def fast_forward(self: Epoch, claim: Any) -> bool:
        self.prove()
        return False

    patches.set(Epoch, "fast_forward", fast_forward)


@CORE.add(
    "late-answer-accused",
    "An answer to an offer that was made again meanwhile is taken for a forged one to the new offer.",
    NoHonestPartyIsAccused.name,
    schedule="mended-late-answer-after-a-reconnect.json",
)
def _(patches: Patches) -> None:
    def prepare_epoch(self: Negotiation, answer: KeyStatement, *tag: Any, **key: Any) -> Any:
        order = answer.order if self.offer is None else self.offer.order
        return former(self, replace(answer, order=order), *tag, **key)

    former = patches.set(Negotiation, "prepare_epoch", prepare_epoch)


@CORE.add(
    "path-told-once", "A path that was told to be up is not told so again after it was down.", PathsComeUp.name, starts_at=1
)
def _(patches: Patches) -> None:
    told: set[Hop] = set()

    def tell_path(self: Hop, *, up: bool) -> None:
        if not up or self not in told:
            former(self, up=up)
        if up:
            told.add(self)

    former = patches.set(Hop, "tell_path", tell_path)


@CORE.add("former-link-ends-new", "The end of a node's former stream ends its new one.", PathsComeUp.name, starts_at=13)
def _(patches: Patches) -> None:
    def node_linked(self: Sessions, stream: Any, node_id: Any, *proved: Any) -> None:
        sessions = dict(self._sessions)
        former(self, stream, node_id, *proved)
        for number, session in sessions.items():
            self._sessions.setdefault(number, session)

    former = patches.set(Sessions, "node_linked", node_linked)


@CORE.add("timers-of-the-gone", "The timers of a stream that is gone stay.", NO_DEFECT, starts_at=1)
def _(patches: Patches) -> None:
    class Timers(TimerHeap[StreamId]):
        """Forgets nothing."""

        def cancel(self, key: StreamId) -> None:
            pass

    def init(self: Sessions, *args: Any, **more: Any) -> None:
        former(self, *args, **more)
        self._timers = Timers()

    former = patches.set(Sessions, "__init__", init)


# paths


@CORE.add("nothing-sent-again", "After a resume an app sends nothing again.", PathsComeUp.name, starts_at=1)
def _(patches: Patches) -> None:
    def send_all(self: Transfer, now: float) -> None:
        self._channels.repeat_confirm()
        self.expect_ack(now)

    patches.set(Transfer, "send_all", send_all)


# ends


@CORE.add("always-deleted", "A chat that ends says that it was deleted, whatever the reason.", EndsSayWhy.name, starts_at=3)
def _(patches: Patches) -> None:
    def end(self: Standing, _reason: Any, silent: Any, _proofs: Any = ()) -> None:
        former(self, CloseReason.DELETED, silent)

    former = patches.set(Standing, "end", end)


@CORE.add(
    "ends-untold",
    "Whoever is away when a chat ends is not told when it is back, and an app that is asked has forgotten that it deleted it.",
    EndsSayWhy.name,  # either alone is made good by the other
    starts_at=4,
)
def _(patches: Patches) -> None:
    def add(self: Tombstones, _apps: Any, end: Any, receivers: Any, _now: float) -> None:
        for receiver in receivers:
            self._effects.answer(receiver, end)

    def delete_again(self: AppChats, chat_id: Any) -> None:
        self._effects.send(Delete(chat_id, failed=True))

    patches.set(Tombstones, "add", add)
    patches.set(AppChats, "_delete_again", delete_again)


@CORE.add("peers-untold", "A chat that an app deletes ends without a word to the other.", NothingRemains.name, starts_at=18)
def _(patches: Patches) -> None:
    patches.set(Tombstones, "add", do_nothing)


@CORE.add("records-outlive-chats", "The record of a chat that ended stays in the keystore.", NothingRemains.name)
def _(patches: Patches) -> None:
    def remove(self: LiveChats, chat: Any, end: Any, now: float) -> None:
        chat.standing.stored = False
        former(self, chat, end, now)

    former = patches.set(LiveChats, "_remove", remove)


@CORE.add("notices-for-ever", "A notice of an end is kept after its receiver acknowledged it.", NothingRemains.name)
def _(patches: Patches) -> None:
    patches.set(Tombstones, "acknowledge", do_nothing)


@CORE.add("hop-not-lost", "A hop counts as ready after its stream has gone.", NO_DEFECT, starts_at=2)
def _(patches: Patches) -> None:
    patches.set(Chat, "lose", do_nothing)
