"""A middle that knows the protocol and holds single control messages back: for the same stream, later, or for good."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from hermes_core.errors import ProtocolError
from hermes_core.protocol.messages import Answer, Closed, ClosedAck, Confirm, Delete, Offer, Reject, Resume
from hermes_wire.tags import split_tag
from tests.simulation.forgery import choose_codec
from tests.simulation.pipes import Way

WITHHELD: Final = (Offer, Answer, Confirm, Reject, Resume, Delete, Closed, ClosedAck)
"""What begins, goes on or ends. Everything else passes: it would only be one more lost message."""
OFTEN: Final = 0.5
LATER: Final = (1, 1, 2, 5, 12)
"""After how many more messages of its stream one that was held back is let go."""


class _Late(NamedTuple):
    """A batch of one message, and how many messages of its stream are still to go before it."""

    data: bytes
    wait: int


class Withholder:
    """Takes single control messages out of what passes; with `for_good` they never come."""

    def __init__(self, choices: random.Random, *, for_good: bool) -> None:
        self._choices = choices
        self._for_good = for_good
        self._late: dict[Way, list[_Late]] = {}

    def pass_on(self, way: Way, data: bytes) -> list[bytes]:
        passed = self._take_one_out(way, data)
        waiting = [late._replace(wait=late.wait - 1) for late in self._late.pop(way, ())]
        if passed != [data] and not self._for_good:
            waiting.append(_Late(self._taken, self._choices.choice(LATER)))
        passed += [late.data for late in waiting if late.wait <= 0]
        self._late[way] = [late for late in waiting if late.wait > 0]
        return passed

    def _take_one_out(self, way: Way, data: bytes) -> list[bytes]:
        """What is left of a batch; nothing when that was all of it. `_taken` is what is not in it any more."""
        items = _read(way, data)
        at = [number for number, item in enumerate(items) if type(split_tag(item)[0]) in WITHHELD]
        if not at or self._choices.random() >= OFTEN:
            return [data]
        build = choose_codec(way).build
        self._taken = build([items.pop(self._choices.choice(at))])
        return [build(items)] if items else []


def _read(way: Way, data: bytes) -> list[Any]:
    """The messages; nothing for streams on which chats do not travel, and for what cannot be read."""
    if way.path.rpartition("/")[2] not in {"Open", "RouteChat"}:
        return []
    try:
        return list(choose_codec(way).parse(data))
    except (ProtocolError, DecodeError):
        return []


def hold(choices: random.Random) -> Callable[[Way, bytes], list[bytes]]:
    """Every second control message that begins, goes on or ends a chat comes later on its stream."""
    return Withholder(choices, for_good=False).pass_on


def withhold(choices: random.Random) -> Callable[[Way, bytes], list[bytes]]:
    """Every second of these never comes."""
    return Withholder(choices, for_good=True).pass_on
