"""What an app keeps in its sealed store: who it is, its chats, and what it sent that nobody has acknowledged."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum

from hermes_core.crypto.secret import SecretBytes
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import AppId, ChatId, NodeId, Party
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.ratchet.state import ChannelSnapshot, wipe_channel
from hermes_core.values import dataclass


class AppChatState(IntEnum):
    """How far the two apps have come; a chat whose offer nobody has answered is not kept."""

    ACCEPTED = 1  # we answered, and wait for the confirmation
    ACTIVE = 2


@dataclass(slots=True)
class AppIdentity:
    """`seed`: 32 bytes. `stamp`: of the latest Connect, in ms; the next one is above it, whatever the clock says."""

    seed: SecretBytes
    stamp: int


@dataclass(frozen=True, slots=True)
class KeptMoves:
    """How often this app has moved the chat.

    `number`: the highest of its moves that it knows of; 0: it never moved. `newest`: the move that it signed last. `unproven`:
    nothing of the other app has come over the leg that the last one made.
    """

    number: int = 0
    unproven: bool = False
    newest: SignedMove | None = None


@dataclass(slots=True)
class AppChatRecord:
    """One chat as its app holds it.

    `end_to_end` receives from the message after `taken`, the highest seq that our app has acknowledged. `last_seq` is that of
    our latest message, `acked` the highest that the peer has acknowledged. `wish`: of a rekey that waits, 0 for none
    (`RekeyWish`).
    """

    chat_id: ChatId
    state: AppChatState
    wish: int
    peer: AppId
    home: NodeId
    last_seq: int
    acked: int
    taken: int
    end_to_end: ChannelSnapshot
    leg: ChannelSnapshot
    moves: KeptMoves = KeptMoves()

    def wipe(self) -> None:
        """Wipe every secret of both channels."""
        wipe_channel(self.end_to_end)
        wipe_channel(self.leg)


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One message that is not acknowledged: what is sealed anew after a rekey, and the frame that is sent again as it is.

    `plaintext` is content and padding; `frame` was sealed in `epoch`, and is empty in epoch 0: it was not sent yet.
    """

    chat_id: ChatId
    seq: int
    plaintext: bytes = field(repr=False)
    epoch: int
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndedChatRecord:
    """A chat that is over here, and whose home has not said that it knows.

    `failed`: it had to end. `ended_s`: when, in seconds since 1970; the home forgets it by itself once it was idle for long.
    `proofs`: what the other app believes that it was deleted by, since its keys are gone.
    """

    chat_id: ChatId
    home: Party
    failed: bool
    ended_s: int
    proofs: tuple[EndProof, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeMarkRecord:
    """The highest mark (128 bytes) that a node gave under the key in it."""

    node_id: NodeId
    mark: bytes
