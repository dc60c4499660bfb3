"""What a hostile middle may do to the messages of a link on which it ends TLS, between an app and a node or two nodes: as data.

Each ability is made from choices of its own and gets one message at a time; what it returns goes on instead. Those that make
something up are in tests/simulation/forgery.py, those that hold messages back in tests/simulation/withholding.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from tests.simulation import forgery
from tests.simulation.forgery import prove_twice, unsign
from tests.simulation.pipes import Way
from tests.simulation.withholding import hold, withhold

Middle = Callable[[Way, bytes], list[bytes]]


def drop(choices: random.Random) -> Middle:
    """One message in five is lost, and TCP does not know."""
    return lambda _, data: [] if choices.random() < 0.2 else [data]


def repeat(choices: random.Random) -> Middle:
    """One message in five comes twice."""
    return lambda _, data: [data, data] if choices.random() < 0.2 else [data]


def swap(choices: random.Random) -> Middle:
    """One message in five is overtaken by the next."""
    held: list[bytes] = []

    def pass_on(_: Way, data: bytes) -> list[bytes]:
        if held:
            return [data, held.pop()]
        if choices.random() < 0.2:
            held.append(data)
            return []
        return [data]

    return pass_on


def record(choices: random.Random) -> Middle:
    """Everything is kept, and one message in five is followed by an older one."""
    kept: list[bytes] = []

    def pass_on(_: Way, data: bytes) -> list[bytes]:
        kept.append(data)
        return [data, choices.choice(kept)] if choices.random() < 0.2 else [data]

    return pass_on


def flip(choices: random.Random) -> Middle:
    """A bit is turned in one message in five."""

    def pass_on(_: Way, data: bytes) -> list[bytes]:
        if not data or choices.random() >= 0.2:
            return [data]
        changed = bytearray(data)
        changed[choices.randrange(len(changed))] ^= 1 << choices.randrange(8)
        return [bytes(changed)]

    return pass_on


def forge(choices: random.Random) -> Middle:
    """One message in five is joined by one that nobody sent, in somebody's name."""
    return forgery.Forger(choices).forge


def splice(choices: random.Random) -> Middle:
    """One control message in five has another's field, chat or tag."""
    return forgery.Forger(choices).splice


def replay(choices: random.Random) -> Middle:
    """One message in five is joined by a control message of before, alone, of this stream or another one."""
    return forgery.Forger(choices).replay


def speak_first(choices: random.Random) -> Middle:
    """Every second proof of a node comes after word that chats have ended."""
    return forgery.Forger(choices).speak_first


def impersonate(choices: random.Random) -> Middle:
    """Every challenge has the middle's own node key in it, and one message in five an error that speaks for the node."""
    return forgery.Forger(choices).impersonate


EARLIER: Final = (drop, repeat, swap, record, flip, forge, splice, replay, impersonate)
LATER: Final = (hold, withhold, unsign, prove_twice, speak_first)
"""Drawn apart from the earlier ones, whose worlds stay what they were."""

ABILITIES: Final[dict[str, Callable[[random.Random], Middle]]] = {ability.__name__: ability for ability in (*EARLIER, *LATER)}
