"""From the name of a kind of cluster to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import HarnessError
from .existing_cluster import ExistingCluster
from .kind_cluster import KindCluster
from .local_cluster import LocalCluster

if TYPE_CHECKING:
    from .cluster import Cluster

KINDS = ("local", "kind", "existing")


def choose_cluster(kind: str) -> Cluster:
    """Return the cluster of a kind."""
    if kind == "local":
        return LocalCluster()
    if kind == "kind":
        return KindCluster()
    if kind == "existing":
        return ExistingCluster()
    raise HarnessError(f"no kind of cluster is called {kind}", f"choose one of {', '.join(KINDS)}")
