"""The proof of a delete: an app's word to the other that it ended their chat, which no node can give for it."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u32
from hermes_core.crypto.hashing import compute_tag, equal_tags
from hermes_core.ids import Role
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.values import dataclass

END_TAG_BYTES: Final = 16
MAX_PROOFS: Final = 2
"""Of the current epoch, and of one that is offered or answered."""


@dataclass(frozen=True, slots=True)
class EndProof:
    """`tag` (16 bytes) is made under the end-to-end keys of `epoch`."""

    epoch: int
    tag: bytes


def compute_end_tag(context: ChannelContext, epoch: Epoch, role: Role) -> bytes:
    """The tag of the end whose role in `epoch` is `role`."""
    data = lp(labels.DELETE) + context.chat_id + u32(epoch.number) + u8(role)
    return compute_tag(epoch.suite.hash_id, epoch.mac, data)[:END_TAG_BYTES]


def build_end_proof(context: ChannelContext, epoch: Epoch) -> EndProof:
    """As the end that deletes."""
    return EndProof(epoch.number, compute_end_tag(context, epoch, epoch.role))


def proves_end(context: ChannelContext, epoch: Epoch, proof: EndProof, role: Role) -> bool:
    """Whether the end whose role in `epoch` is `role` made it."""
    return proof.epoch == epoch.number and equal_tags(compute_end_tag(context, epoch, role), proof.tag)
