"""What a node keeps for and about witnesses: the names of its own, and the marks of the nodes that it witnesses."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hermes_core.errors import KeystoreTamperedError, ProtocolError
from hermes_core.ids import NodeId, parse_node_id
from hermes_core.keystore.mark import Mark, parse_mark
from hermes_keystore import Keystore, Table

WITNESSES_KEY: Final = b"mesh_witnesses"


def encode_witnesses(names: Collection[NodeId]) -> bytes:
    """Newest first, with commas between."""
    return ",".join(names).encode()


def read_witnesses(keystore: Keystore) -> tuple[NodeId, ...]:
    """The latest witnesses of this node, newest first; none before it had any. KeystoreTamperedError when malformed."""
    stored = keystore.get(Table.META, WITNESSES_KEY)
    if stored is None:
        return ()
    try:
        return tuple(parse_node_id(name) for name in stored.decode().split(","))
    except (ProtocolError, UnicodeDecodeError):
        raise KeystoreTamperedError("the names of this node's witnesses are not well formed") from None


def read_held_marks(keystore: Keystore) -> list[Mark]:
    """The marks of other nodes; KeystoreTamperedError when one is not authentic."""
    try:
        return [parse_mark(bytes(value)) for _, value in keystore.load(Table.MARK)]
    except ProtocolError:
        raise KeystoreTamperedError("a mark of another node is not authentic") from None
