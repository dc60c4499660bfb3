"""An entry of the directory: what an app signed when it connected, and what its home signed of whether it is there.

claim  = app key(32) ‖ u64(stamp) ‖ hello hash(32) ‖ app's signature(64)
word   = u64(incarnation) ‖ u64(version) ‖ u8(online) ‖ node's signature(64)
signed = claim ‖ word

It travels and is held as these bytes: a node holds tens of thousands, and looks into few of them.
"""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u64
from hermes_core.crypto.signing import SIGNATURE_BYTES, Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, PUBLIC_KEY_BYTES, AppId, NodeId, Party, derive_app_id, node_party
from hermes_core.protocol.claims import verify_claim
from hermes_core.protocol.session import AppClaim
from hermes_core.values import dataclass

_CLAIM: Final = struct.Struct(f">{PUBLIC_KEY_BYTES}sQ32s{SIGNATURE_BYTES}s")
_PRESENCE: Final = struct.Struct(f">QQB{SIGNATURE_BYTES}s")
ENTRY_BYTES: Final = _CLAIM.size + _PRESENCE.size


@dataclass(frozen=True, slots=True)
class NodeName:
    """A node and its key (32 bytes): what an app went to."""

    node_id: NodeId
    node_key: bytes


@dataclass(frozen=True, slots=True)
class Presence:
    """A node's word of whether an app is connected to it; `version` rises with every word of one incarnation."""

    incarnation: int
    version: int
    online: bool
    signature: bytes


@dataclass(frozen=True, slots=True)
class HomeEntry:
    """`home`: the node that the app went to. `signed`: ENTRY_BYTES bytes; nobody may believe them before `verify`."""

    home: NodeName
    signed: bytes

    @property
    def app_id(self) -> AppId:
        return derive_app_id(self.signed[:PUBLIC_KEY_BYTES])

    @property
    def party(self) -> Party:
        return node_party(self.home.node_id, self.home.node_key)

    @property
    def claim(self) -> AppClaim:
        return AppClaim(*_CLAIM.unpack_from(self.signed))

    @property
    def presence(self) -> Presence:
        incarnation, version, online, signature = _PRESENCE.unpack_from(self.signed, _CLAIM.size)
        return Presence(incarnation, version, bool(online), signature)

    @property
    def stamp(self) -> int:
        return int.from_bytes(self.signed[PUBLIC_KEY_BYTES : PUBLIC_KEY_BYTES + 8], "big")

    def outranks(self, other: HomeEntry) -> bool:
        """Whether it names the app's home rather than `other` does: a higher stamp, of equal ones the lower node id's.

        Of one claim, the later word.
        """
        if (self.home, self.stamp) == (other.home, other.stamp):
            return self.is_later_word(other)
        mine, theirs = (self.home.node_id, self.home.node_key), (other.home.node_id, other.home.node_key)
        return (self.stamp, theirs) > (other.stamp, mine)

    def is_later_word(self, other: HomeEntry) -> bool:
        """Of the same node: whether it said this later."""
        mine, theirs = self.presence, other.presence
        return (mine.incarnation, mine.version) > (theirs.incarnation, theirs.version)

    def verify(self) -> bool:
        """Whether the app signed the claim, and the node the word."""
        claim, presence = self.claim, self.presence
        body = _encode_presence(self.party, claim.app_key, presence.incarnation, presence.version, online=presence.online)
        try:
            verify_claim(self.party, claim)
            verify_signature(self.home.node_key, body, presence.signature)
        except ProtocolError:
            return False
        return True


def _encode_presence(node: Party, app_key: bytes, incarnation: int, version: int, *, online: bool) -> bytes:
    return lp(labels.PRESENCE) + lp(node.encode()) + app_key + u64(incarnation) + u64(version) + u8(online)


def sign_presence(identity: Identity, node: Party, app_key: bytes, incarnation: int, version: int, *, online: bool) -> Presence:
    """A word of the node that owns `identity`."""
    body = _encode_presence(node, app_key, incarnation, version, online=online)
    return Presence(incarnation, version, online, identity.sign(body))


def build_entry(home: NodeName, claim: AppClaim, presence: Presence) -> HomeEntry:
    said = _CLAIM.pack(claim.app_key, claim.stamp, claim.hello_hash, claim.signature)
    word = _PRESENCE.pack(presence.incarnation, presence.version, presence.online, presence.signature)
    return HomeEntry(home, said + word)


def check_entry(signed: bytes) -> bytes:
    """The same bytes; INVALID_FRAME when they are none of an entry."""
    if len(signed) != ENTRY_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"an entry has {ENTRY_BYTES} bytes")
    _, stamp, _, _ = _CLAIM.unpack_from(signed)
    incarnation, version, online, _ = _PRESENCE.unpack_from(signed, _CLAIM.size)
    if max(stamp, incarnation, version) > MAX_POSITION or online > 1:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "an entry's numbers are at most 2^63 - 1, and it is online or away")
    return signed
