"""Tells of refused connections: each is counted, of a kind and an address a line a minute; so a flood hides nobody else's."""

from __future__ import annotations

from collections.abc import Callable

from hermes_h2.events import Refusal
from hermes_h2.serving.places import charge_to
from hermes_node.logs.event_log import EventLog
from hermes_node.logs.spaced import SpacedLines


class MeshRefusals:
    """Of the mesh's port: nodes come again every few seconds for as long as their certificate is not believed."""

    def __init__(self, log: EventLog, count: Callable[[Refusal], None], clock: Callable[[], float]) -> None:
        self._log = log
        self._count = count
        self._told: SpacedLines[tuple[Refusal, str]] = SpacedLines(clock)

    def tell(self, refusal: Refusal, address: str, detail: str, names: frozenset[str]) -> None:
        """`names`: in the certificate that was shown and is believed."""
        self._count(refusal)
        untold = self._told.take((refusal, charge_to(address)))
        if untold is None:
            return
        certificate = ",".join(sorted(names))
        self._log.warning(
            "mesh_connection_refused",
            kind=refusal.value,
            address=address,
            detail=detail,
            certificate=certificate,
            untold=untold,
        )
