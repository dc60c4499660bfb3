"""find_lowered: a position that went backwards is found, progress and new epochs are not."""

from __future__ import annotations

import dataclasses

from hermes_client.scenario.admin_client import Position, find_lowered, list_positions
from hermes_proto.v2.admin_pb2 import Ratchets

OLD = Position("node-0", "ref", 0, "leg", "send", epoch=2, position=100)


def test_higher_and_equal_are_fine() -> None:
    assert not find_lowered([OLD], [OLD])
    assert not find_lowered([OLD], [dataclasses.replace(OLD, position=256)])


def test_lower_is_found_and_named() -> None:
    (found,) = find_lowered([OLD], [dataclasses.replace(OLD, position=99)])
    assert found == "leg send of chat ref on node-0 went from 2/100 back to 2/99"


def test_a_new_epoch_counts_from_zero_an_old_one_is_lowered() -> None:
    assert not find_lowered([OLD], [dataclasses.replace(OLD, epoch=3, position=0)])
    assert find_lowered([OLD], [dataclasses.replace(OLD, epoch=1, position=500)])


def test_other_chats_and_vanished_ones_are_not_compared() -> None:
    assert not find_lowered([OLD], [])
    assert not find_lowered([OLD], [dataclasses.replace(OLD, chat_ref="other", position=0)])


def test_both_directions_of_every_channel_are_listed() -> None:
    ratchets = Ratchets(
        chats=[
            Ratchets.Chat(
                chat_ref="ref",
                channels=[
                    Ratchets.Channel(
                        kind="leg",
                        epoch=2,
                        send=Ratchets.Direction(position=100),
                        recv=Ratchets.Direction(position=7),
                    ),
                    Ratchets.Channel(kind="tieline", epoch=1),
                ],
            )
        ]
    )
    listed = list(list_positions("node-0", ratchets))
    assert listed[0] == OLD
    assert [(p.channel, p.direction, p.position) for p in listed] == [
        (0, "send", 100),
        (0, "recv", 7),
        (1, "send", 0),
        (1, "recv", 0),
    ]
