"""From the name of a kind of cluster to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import HarnessError
from .existing_cluster import ExistingCluster
from .kind.configuration import MOST_NODES
from .kind.family import Family
from .kind_cluster import KindCluster
from .local_cluster import LocalCluster

if TYPE_CHECKING:
    from .cluster import Cluster

KINDS = ("local", "kind", "existing")
FAMILIES = tuple(str(family) for family in Family)


def choose_cluster(kind: str, nodes: int = 1, family: str = Family.IPV4) -> Cluster:
    """Return the cluster of a kind; only kind can have several nodes, or another family of addresses than IPv4."""
    if nodes not in range(1, MOST_NODES + 1):
        raise HarnessError(f"a cluster of {nodes} nodes", f"choose 1 to {MOST_NODES}")
    if nodes != 1 and kind != "kind":
        raise HarnessError(f"{nodes} nodes on {kind}", "only CLUSTER=kind has more than one")
    if family != Family.IPV4 and kind != "kind":
        raise HarnessError(f"a family of addresses ({family}) on {kind}", "only --cluster kind lets it be chosen")
    if kind == "local":
        return LocalCluster()
    if kind == "kind":
        return KindCluster(nodes, Family(family))
    if kind == "existing":
        return ExistingCluster()
    raise HarnessError(f"no kind of cluster is called {kind}", f"choose one of {', '.join(KINDS)}")
