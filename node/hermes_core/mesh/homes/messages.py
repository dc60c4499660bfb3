"""What nodes tell each other of where apps are, as frozen dataclasses; hermes_wire translates them to and from protobuf."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.values import dataclass

MAX_ENTRIES: Final = 256
"""In one message."""


@dataclass(frozen=True, slots=True)
class AgedEntry:
    """`age_s`: how long ago its home said so, as far as the sender knows."""

    signed: bytes
    age_s: int


@dataclass(frozen=True, slots=True)
class HandedOn:
    """What the sender held of a home that is gone, or began anew and says nothing of these apps any more."""

    home: NodeName
    entries: tuple[AgedEntry, ...]


@dataclass(frozen=True, slots=True)
class HoldEntries:
    """To a holder: entries of the sender's own apps, its key (32 bytes) in each. `number`: what `EntriesHeld` repeats.

    `handed_on`: of homes that tell new holders nothing any more.
    """

    number: int
    node_key: bytes
    entries: tuple[bytes, ...]
    handed_on: tuple[HandedOn, ...] = ()


@dataclass(frozen=True, slots=True)
class EntriesHeld:
    """What came with this number was taken in; what was overtaken by others was said before."""

    number: int


@dataclass(frozen=True, slots=True)
class FindEntry:
    """Where is this app? `number`: the asker's own."""

    number: int
    app_id: AppId


@dataclass(frozen=True, slots=True)
class EntryFound:
    """What the asked node holds of the app; None: nothing."""

    number: int
    entry: HomeEntry | None


@dataclass(frozen=True, slots=True)
class EntryOvertaken:
    """To a node that an app left: the entry of its newer home."""

    entry: HomeEntry


@dataclass(frozen=True, slots=True)
class FindRefused:
    """To a node that asked too much: why it is not answered, and when to ask this node again."""

    number: int
    code: ErrorCode
    retry_after_ms: int


HomesMessage = HoldEntries | EntriesHeld | FindEntry | EntryFound | EntryOvertaken | FindRefused
