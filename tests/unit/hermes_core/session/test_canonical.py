"""The table of control messages: every field of every message is in its bytes, and no number is given twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from hermes_core.mesh.carry.messages import CarryMessage
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.messages import ChatMessage, Sealed
from hermes_core.protocol.session import Challenge, Connect, Connected, Heartbeat, NewerHome, SeekHome, SessionMessage
from hermes_core.session.canonical import CONTROL, SETTINGS, encode_control
from tests.support.control_samples import CONTROL_SAMPLES


def test_every_message_is_in_the_table_but_frames_heartbeats_and_the_handshake() -> None:
    of_the_mesh = {MembershipUpdate, *get_args(HomesMessage), *get_args(CarryMessage)}
    everything = {*get_args(ChatMessage), *get_args(SessionMessage), *of_the_mesh}
    assert everything - set(CONTROL) == {Sealed, Heartbeat, Challenge, Connect, Connected, NewerHome, SeekHome}
    assert sorted(layout.number for layout in CONTROL.values()) == list(range(1, len(CONTROL) + 1))


def test_settings_are_all_of_connected_but_its_signature() -> None:
    assert [name for name, _ in SETTINGS] == [
        field.name for field in dataclasses.fields(Connected) if field.name != "signature"
    ]


def _variants(value: Any) -> Iterator[Any]:
    """Copies with one leaf changed, however deep."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for changed in _variants(getattr(value, field.name)):
                yield dataclasses.replace(value, **{field.name: changed})
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, bytes):
        yield value + b"x"
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, tuple):
        yield value * 2
        for changed in _variants(value[0]):
            yield (changed, *value[1:])
    elif isinstance(value, frozenset):
        yield frozenset()
    else:
        assert value is None
        yield "x"


@pytest.mark.parametrize("name", CONTROL_SAMPLES)
def test_no_field_can_be_changed_without_changing_the_bytes(name: str) -> None:
    """A field that somebody adds to a message and not to the table would be an outsider's to write."""
    message = CONTROL_SAMPLES[name]
    seen = {encode_control(message)}
    for variant in _variants(message):
        if variant.__class__ is not type(message):
            continue
        if getattr(variant, "chat_id", b"") == "x":
            variant = dataclasses.replace(variant, chat_id=b"x")  # noqa: PLW2901 - an absent chat id, given one
        data = encode_control(variant)
        assert data not in seen, variant
        seen.add(data)
