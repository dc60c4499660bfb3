"""Tells of refused connections: each is counted, of a kind and an address a line a minute; so a flood hides nobody else's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hermes_h2.events import Refusal
from hermes_h2.serving.places import charge_to
from hermes_node.logs.event_log import EventLog

AGAIN_S: Final = 60.0
MAX_TOLD: Final = 1024
"""Kinds and addresses that are remembered."""


class MeshRefusals:
    """Of the mesh's port: nodes come again every few seconds for as long as their certificate is not believed."""

    def __init__(self, log: EventLog, count: Callable[[Refusal], None], clock: Callable[[], float]) -> None:
        self._log = log
        self._count = count
        self._clock = clock
        self._told: OrderedDict[tuple[Refusal, str], tuple[float, int]] = OrderedDict()
        """The one that was told longest ago first: when, and how many were not since."""

    def tell(self, refusal: Refusal, address: str, detail: str, names: frozenset[str]) -> None:
        """`names`: in the certificate that was shown and is believed."""
        self._count(refusal)
        key, now = (refusal, charge_to(address)), self._clock()
        at, untold = self._told.get(key, (now - AGAIN_S, 0))
        if now - at < AGAIN_S:
            self._told[key] = at, untold + 1
            return
        self._told[key] = now, 0
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        certificate = ",".join(sorted(names))
        self._log.warning(
            "mesh_connection_refused",
            kind=refusal.value,
            address=address,
            detail=detail,
            certificate=certificate,
            untold=untold,
        )
