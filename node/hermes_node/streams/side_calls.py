"""Calls beside a server's one service, health watches and reflection: anybody may hold one for ever, so there are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hermes_node.streams.origin import find_origin

MAX_CALLS: Final = 256
MAX_CALLS_AN_ADDRESS: Final = 32
"""Of one IPv4 address, or one /64. A load balancer holds one watch for each of its connections at most, a person one."""
TOO_MANY: Final = "too many health watches and reflections are held"


class SideCalls:
    """Those of one server that are under way."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._all = 0

    @contextmanager
    def place(self, address: str) -> Iterator[bool]:
        """Whether there is one for a call from this address (as gRPC writes it), until it ends."""
        origin = find_origin(address)[-1]
        if self._all >= MAX_CALLS or self._held[origin] >= MAX_CALLS_AN_ADDRESS:
            yield False
            return
        self._all += 1
        self._held[origin] += 1
        try:
            yield True
        finally:
            self._all -= 1
            self._held[origin] -= 1
            if not self._held[origin]:
                del self._held[origin]
