"""What two homes and the node between them say on a Carry stream, as frozen dataclasses; hermes_wire translates them."""

from __future__ import annotations

from typing import Final

from hermes_core.ids import NodeId
from hermes_core.values import dataclass

MAX_CARRIED_BYTES: Final = 64 * 1024
"""In one piece: the node in between holds one of each direction of each stream that it carries."""


@dataclass(frozen=True, slots=True)
class CarryTo:
    """The first message of the home that dials: whom it wants to reach."""

    target: NodeId


@dataclass(frozen=True, slots=True)
class CarryFrom:
    """The first message of the node in between to the other home: who wants to reach it."""

    origin: NodeId


@dataclass(frozen=True, slots=True)
class Carried:
    """A piece of a message between the homes, 1 to MAX_CARRIED_BYTES; `more`: it goes on in the next piece."""

    data: bytes
    more: bool


CarryMessage = CarryTo | CarryFrom | Carried
