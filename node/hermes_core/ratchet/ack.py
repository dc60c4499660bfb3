"""The tag of an acknowledgement: an app's proof to the other that everything up to a seq was handed over."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import compute_tag, equal_tags
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, Role
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch

ACK_TAG_BYTES: Final = 16


def compute_ack_tag(context: ChannelContext, epoch: Epoch, role: Role, seq: int) -> bytes:
    """The tag of the end whose role in `epoch` is `role`."""
    if not 0 <= seq <= MAX_POSITION:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "seq out of bounds")
    data = lp(labels.ACK) + context.chat_id + u32(epoch.number) + u8(role) + u64(seq)
    return compute_tag(epoch.suite.hash_id, epoch.mac, data)[:ACK_TAG_BYTES]


def check_ack_tag(context: ChannelContext, epoch: Epoch, seq: int, tag: bytes) -> None:
    """Raise AUTH_FAILED unless this is the peer's tag."""
    if not equal_tags(compute_ack_tag(context, epoch, epoch.role.peer, seq), tag):
        raise ProtocolError(ErrorCode.AUTH_FAILED, "acknowledgement is not authentic")
