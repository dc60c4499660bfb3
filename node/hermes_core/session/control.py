"""Tags of control messages: on a proven stream each says who sent it, and where in the stream it stands.

Counted on both sides and never sent: how many control messages and how many sealed frames went before. So one that is forged,
replayed, overtaken or missing, and a sealed frame that is missing before one, fails at the next tag, and the stream ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u64
from hermes_core.crypto.hashing import HashId, compute_tag, equal_tags
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.session import Heartbeat
from hermes_core.session.canonical import CONTROL, encode_control
from hermes_core.values import dataclass

TAG_BYTES: Final = 32
_LABEL: Final = lp(labels.CONTROL)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A control message with the tag it travels with (TAG_BYTES)."""

    message: Any
    tag: bytes


class _Direction:
    """One direction of one stream: its key, and what was counted."""

    __slots__ = ("_controls", "_hash_id", "_key", "_sealed")

    def __init__(self, hash_id: HashId, key: SecretBytes) -> None:
        self._hash_id = hash_id
        self._key = key
        self._controls = 0
        self._sealed = 0

    def _next_tag(self, message: object) -> bytes:
        place = u64(self._controls) + u64(self._sealed)
        number, data = encode_control(message)
        return compute_tag(self._hash_id, self._key, b"".join((_LABEL, place, u8(number), data)))

    def wipe(self) -> None:
        self._key.wipe()


class ControlWriter(_Direction):
    """The sending end. It is used where the order on the wire is final."""

    __slots__ = ()

    def tag(self, messages: Iterable[Any]) -> list[Any]:
        """The messages of a batch in their order, control messages with their tags."""
        tagged: list[Any] = []
        for message in messages:
            kind = type(message)
            if kind is Sealed:
                self._sealed += 1
            elif kind in CONTROL:
                tagged.append(Tagged(message, self._next_tag(message)))
                self._controls += 1
                continue
            tagged.append(message)
        return tagged


class ControlReader(_Direction):
    """The receiving end. Nothing that it did not let through reaches a machine."""

    __slots__ = ()

    def open(self, message: Any) -> Any:
        """The message itself; AUTH_FAILED, which ends the stream, when it is not the next that the other end sent."""
        kind = type(message)
        if kind is Sealed:
            self._sealed += 1
            return message
        if kind is Heartbeat:
            return message
        if kind is not Tagged:
            raise _refuse("a control message without its tag")
        if type(message.message) not in CONTROL or not equal_tags(self._next_tag(message.message), message.tag):
            raise _refuse("a control message that is not the next one of this session")
        self._controls += 1
        return message.message


def _refuse(detail: str) -> ProtocolError:
    return ProtocolError(ErrorCode.AUTH_FAILED, detail, scope=ErrorScope.STREAM)
