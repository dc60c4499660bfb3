"""What a hostile middle may do to the messages of a link that ends before the node (a load balancer, an ingress): as data.

Each ability is made from choices of its own and gets one message at a time; what it returns goes on instead. Links between
nodes have mutual TLS: there a middle can only hold back and cut, which the faults of the network do.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

Middle = Callable[[bytes], list[bytes]]


def drop(choices: random.Random) -> Middle:
    """One message in five is lost, and TCP does not know."""
    return lambda data: [] if choices.random() < 0.2 else [data]


def repeat(choices: random.Random) -> Middle:
    """One message in five comes twice."""
    return lambda data: [data, data] if choices.random() < 0.2 else [data]


def swap(choices: random.Random) -> Middle:
    """One message in five is overtaken by the next."""
    held: list[bytes] = []

    def pass_on(data: bytes) -> list[bytes]:
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

    def pass_on(data: bytes) -> list[bytes]:
        kept.append(data)
        return [data, choices.choice(kept)] if choices.random() < 0.2 else [data]

    return pass_on


def flip(choices: random.Random) -> Middle:
    """A bit is turned in one message in five."""

    def pass_on(data: bytes) -> list[bytes]:
        if not data or choices.random() >= 0.2:
            return [data]
        changed = bytearray(data)
        changed[choices.randrange(len(changed))] ^= 1 << choices.randrange(8)
        return [bytes(changed)]

    return pass_on


ABILITIES: Final[dict[str, Callable[[random.Random], Middle]]] = {
    ability.__name__: ability for ability in (drop, repeat, swap, record, flip)
}
