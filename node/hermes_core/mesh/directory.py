"""Which apps are connected to a node, as it tells the others: the whole list when a link comes up, then what changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId, derive_app_id
from hermes_core.mesh.messages import MAX_APPS_OF_A_NODE, MAX_APPS_PER_ENTRY, DirectoryEntry
from hermes_core.protocol.session import AppClaim


class LocalApps:
    """This node's own list, of which each app's newest claim is told. `version` rises with every change."""

    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id
        self._claims: Mapping[AppId, AppClaim] = {}
        self._last: tuple[tuple[AppClaim, ...], frozenset[AppId]] = ((), frozenset())
        self.version = 0

    def set(self, claims: Mapping[AppId, AppClaim]) -> bool:
        """Whether anything changed. The mapping is kept, not copied."""
        former, self._claims = self._claims, claims
        come = tuple(claim for app_id, claim in claims.items() if former.get(app_id) != claim)
        gone = frozenset(former.keys() - claims.keys())
        if not come and not gone:
            return False
        self._last = come, gone
        self.version += 1
        return True

    def tell(self, known: int, incarnation: int) -> Iterator[DirectoryEntry]:
        """What a node must hear that was told everything up to version `known`; below 0: nothing yet."""
        if known == self.version:
            return
        come, gone = self._last
        since, left = known, gone
        if known < 0 or known != self.version - 1 or max(len(come), len(gone)) > MAX_APPS_PER_ENTRY:
            come, since, left = tuple(self._claims.values()), 0, frozenset()
        for start in range(0, max(1, len(come)), MAX_APPS_PER_ENTRY):
            part = come[start : start + MAX_APPS_PER_ENTRY]
            yield DirectoryEntry(self._node_id, incarnation, self.version, part, since, left)
            since, left = self.version, frozenset()


class ListedApps:
    """What another node said of its apps: in order, or not at all."""

    def __init__(self) -> None:
        self._heard = (-1, -1)
        self.app_ids: set[AppId] = set()

    def take(self, entry: DirectoryEntry) -> bool:
        """Whether it counts: it is the whole list, and no older one, or adds to what was heard.

        LIMIT_EXCEEDED for more apps than a node may name.
        """
        whole = entry.since == 0
        if (entry.incarnation, entry.version) < self._heard or not (whole or (entry.incarnation, entry.since) == self._heard):
            return False
        self._heard = entry.incarnation, entry.version
        if whole:
            self.app_ids.clear()
        self.app_ids -= entry.gone
        self.app_ids.update(derive_app_id(claim.app_key) for claim in entry.claims)
        if len(self.app_ids) > MAX_APPS_OF_A_NODE:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "a node with too many apps", scope=ErrorScope.STREAM)
        return True
