"""Which channel this is: what its epochs, handshakes, frames and claims are bound to."""

from __future__ import annotations

from hermes_core.ids import ChannelKind, ChatId, Party
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """One end of one channel; the other end has the same with `local` and `peer` changed over."""

    kind: ChannelKind
    chat_id: ChatId
    local: Party
    peer: Party
