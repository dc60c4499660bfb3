"""A middle that holds messages back: what it takes out comes later in its own stream or never, and everything else passes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Delete
from hermes_core.protocol.session import Heartbeat
from hermes_core.session.control import TAG_BYTES, Tagged
from tests.simulation.forgery import choose_codec
from tests.simulation.pipes import Way
from tests.simulation.withholding import LATER, hold, withhold

STREAMS = [Way("/hermes.v2.AppRouter/Open", False, number) for number in (1, 2)]
SEEDS = range(20)


def batch(*items: Any) -> bytes:
    return choose_codec(STREAMS[0]).build(list(items))


def delete(number: int) -> Tagged:
    return Tagged(Delete(ChatId(bytes((number,)) * 16)), bytes(TAG_BYTES))


def beat(number: int) -> Heartbeat:
    return Heartbeat(number, reply=False)


def send(middle: Any, way: Way, *items: Any) -> list[Any]:
    """The items that come out."""
    return [item for data in middle(way, batch(*items)) for item in choose_codec(way).parse(data)]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_held_back_comes_later_in_its_own_stream(seed: int) -> None:
    middle = hold(random.Random(seed))
    first, second = STREAMS
    passed = send(middle, first, delete(1), beat(0))
    assert passed in ([delete(1), beat(0)], [beat(0)])
    held = delete(1) not in passed
    assert [item for number in range(20) for item in send(middle, second, beat(number))] == [beat(n) for n in range(20)]
    later = [send(middle, first, beat(number)) for number in range(1, max(LATER) + 1)]
    assert sum(delete(1) in items for items in later) == held
    assert [items[0] for items in later] == [beat(number) for number in range(1, max(LATER) + 1)]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_withheld_never_comes(seed: int) -> None:
    middle = withhold(random.Random(seed))
    passed = [send(middle, STREAMS[0], delete(number), beat(number)) for number in range(40)]
    assert [items[-1] for items in passed] == [beat(number) for number in range(40)]
    came = [item for items in passed for item in items[:-1]]
    assert all(items[:-1] in ([], [delete(number)]) for number, items in enumerate(passed))
    assert 5 <= len(came) <= 35


def test_what_is_no_chats_stream_or_cannot_be_read_passes() -> None:
    middle = withhold(random.Random(0))
    gossip = Way("/hermes.v2.NodeMesh/Gossip", False, 1)
    for way, data in ((gossip, batch(delete(1))), (STREAMS[0], b"\xff\xff")):
        assert all(middle(way, data) == [data] for _ in range(20))
