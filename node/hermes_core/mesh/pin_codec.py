"""A member of the mesh on disk, as it described itself when it proved its key: version 1 of a fixed layout."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.errors import KeystoreTamperedError, ProtocolError
from hermes_core.handshake.renewal import check_length
from hermes_core.ids import MAX_POSITION, PUBLIC_KEY_BYTES, parse_node_id
from hermes_core.keystore.record_reader import RecordReader, check_range
from hermes_core.mesh.messages import MAX_ADDRESS_CHARS, MAX_VERSION_CHARS, NodeDescriptor

VERSION: Final = 1
_HEAD: Final = struct.Struct(">BQHHHHH")
"""version, incarnation, lengths of node id, address, version, app address and renewals"""


def encode_pin(descriptor: NodeDescriptor) -> bytes:
    """The head, node key (32) and signature (64), then what has the lengths of the head, in its order."""
    d = descriptor
    parts = (d.node_id.encode(), d.address.encode(), d.version.encode(), d.app_address.encode(), d.renewals)
    head = _HEAD.pack(VERSION, d.incarnation, *map(len, parts))
    return b"".join((head, d.node_key, d.signature, *parts))


def parse_pin(data: bytes | bytearray) -> NodeDescriptor:
    """KeystoreTamperedError when it is not well formed; the signature is not checked here."""
    reader = RecordReader(data)
    version, incarnation, name, address, software, app_address, renewals = reader.unpack(_HEAD)
    check_range(version, VERSION, VERSION, "version of a member")
    check_range(incarnation, 0, MAX_POSITION, "incarnation of a member")
    check_range(address, 1, 4 * MAX_ADDRESS_CHARS, "address of a member")
    check_range(software, 0, 4 * MAX_VERSION_CHARS, "version of a member's software")
    check_range(app_address, 0, 4 * MAX_ADDRESS_CHARS, "address of a member for apps")
    key, signature = reader.take(PUBLIC_KEY_BYTES), reader.take(SIGNATURE_BYTES)
    try:
        node_id = parse_node_id(reader.take(name).decode())
        texts = [reader.take(length).decode() for length in (address, software, app_address)]
        renewed = reader.take(renewals)
        check_length(renewed)
    except (ProtocolError, UnicodeDecodeError):
        raise KeystoreTamperedError("a record is not well formed: a member of the mesh") from None
    reader.finish()
    return NodeDescriptor(node_id, key, texts[0], incarnation, texts[1], signature, texts[2], renewed)
