"""The members of the mesh that a node has linked with, in its keystore: a row each."""

from __future__ import annotations

from typing import Final

from hermes_core.ids import NodeId
from hermes_core.keystore.tables import Table
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.pin_codec import parse_pin
from hermes_core.mesh.swim.statements import Signatures, is_own_word
from hermes_keystore import Keystore
from hermes_keystore.history import Place

_PREFIX: Final = b"mesh_pin "


def place_pin(node_id: NodeId) -> Place:
    return Table.META, _PREFIX + node_id.encode()


def read_pins(keystore: Keystore, signatures: Signatures, own: NodeId) -> list[NodeDescriptor]:
    """Those that they signed themselves. KeystoreTamperedError when one is not well formed."""
    pins = [parse_pin(value) for key, value in keystore.load(Table.META) if key.startswith(_PREFIX)]
    return sorted((pin for pin in pins if pin.node_id != own and is_own_word(pin, signatures)), key=lambda pin: pin.node_id)
