"""Mutants in the tags of control messages: what a receiver does not check, somebody in the middle makes use of."""

from __future__ import annotations

from typing import Any

from hermes_core.crypto.encoding import u8, u64
from hermes_core.crypto.hashing import compute_tag
from hermes_core.session import control
from hermes_core.session.canonical import CONTROL, encode_control
from hermes_core.session.control import ControlReader, Tagged
from tests.simulation.invariants.controls import ControlsCountAsSent
from tests.simulation.mutants.mutant import Catalogue, Patches, Room

SESSIONS = Catalogue(Room.CORE)


@SESSIONS.add(
    "tag-unchecked",
    "Any tag will do.",
    ControlsCountAsSent.name,
    schedule="mended-a-flipped-bit-ends-a-chat.json",
)
def _(patches: Patches) -> None:
    patches.set(control, "equal_tags", lambda _ours, _theirs: True)


@SESSIONS.add(
    "content-untagged",
    "A tag says nothing of the message that has it, but for its place.",
    ControlsCountAsSent.name,
    starts_at=23,
)
def _(patches: Patches) -> None:
    patches.set(control, "encode_control", lambda _: (0, b""))


@SESSIONS.add(
    "tag-not-needed",
    "A control message without a tag is taken for an authentic one.",
    ControlsCountAsSent.name,
    starts_at=650,
)
def _(patches: Patches) -> None:
    def open_item(self: ControlReader, item: Any) -> Any:
        return former(self, Tagged(item, self._next_tag(item)) if type(item) in CONTROL else item)

    former = patches.set(ControlReader, "open", open_item)


def _place_with(patches: Patches, *, controls: bool, sealed: bool) -> None:
    def next_tag(self: Any, message: object) -> bytes:
        place = u64(self._controls if controls else 0) + u64(self._sealed if sealed else 0)
        number, data = encode_control(message)
        return compute_tag(self._hash_id, self._key, b"".join((control._LABEL, place, u8(number), data)))

    patches.set(control._Direction, "_next_tag", next_tag)


@SESSIONS.add(
    "counter-unchecked",
    "A tag says nothing of the messages before it: they are replayed.",
    ControlsCountAsSent.name,
    starts_at=1081,
)
def _(patches: Patches) -> None:
    _place_with(patches, controls=False, sealed=True)


@SESSIONS.add(
    "sealed-count-unchecked",
    "A tag says nothing of the frames before it: one is left out, and nobody knows.",
    ControlsCountAsSent.name,
    starts_at=1317,
)
def _(patches: Patches) -> None:
    _place_with(patches, controls=True, sealed=False)
