"""Members that were linked with, for the next start: what is stored when, what comes back, and the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.pin_codec import encode_pin, parse_pin
from hermes_core.mesh.pin_keeper import SAVE_AFTER_S, PinKeeper

KEYS = Identity.generate()


def describe(name: str, incarnation: int = 1, address: str = "") -> NodeDescriptor:
    address = address or f"{name}:7443"
    described = {"address": address, "incarnation": incarnation, "version": "2.0.0", "app_address": "apps:8443"}
    return sign_descriptor(KEYS, node_id=NodeId(name), **described)  # type: ignore[arg-type]


def test_what_is_new_is_stored_after_a_while_and_an_incarnation_alone_is_not() -> None:
    keeper, first = PinKeeper((), 8), describe("a")
    keeper.take(first, 0.0)
    assert keeper.next_timer() == SAVE_AFTER_S
    assert keeper.take_unsaved(SAVE_AFTER_S - 0.1) == {}
    assert keeper.take_unsaved(SAVE_AFTER_S) == {first.node_id: first}
    keeper.take(describe("a", incarnation=66), 20.0)
    assert keeper.next_timer() is None
    moved = describe("a", incarnation=67, address="elsewhere:7443")
    keeper.take(moved, 21.0)
    assert keeper.take_unsaved(40.0) == {first.node_id: moved}


def test_who_was_linked_with_the_longest_time_ago_makes_room() -> None:
    keeper = PinKeeper([describe(name) for name in "abc"], 3)
    keeper.take(describe("a"), 0.0)
    keeper.take(describe("d"), 0.0)
    assert keeper.take_unsaved(SAVE_AFTER_S) == {NodeId("b"): None, NodeId("d"): describe("d")}


def test_a_member_survives_its_record_and_nothing_else_is_taken_for_one() -> None:
    for pin in (describe("a"), replace(describe("mesh-1"), renewals=b"r" * 192, app_address="")):
        assert parse_pin(encode_pin(pin)) == pin
    data = encode_pin(describe("a"))
    for broken in (b"", data[:-1], data + b"x", b"\x02" + data[1:], data.replace(b"a:7443", b"\xff:7443")):
        with pytest.raises(KeystoreTamperedError):
            parse_pin(broken)
