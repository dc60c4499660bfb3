"""The API resources that the operator reads or writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.dynamic.resource import Resource

from hermes_operator import names


@dataclass(frozen=True, slots=True)
class Kind:
    """An API resource, known beforehand: discovery at run time would only add a cache that can be stale."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def resource(self) -> Resource:
        return Resource(  # type: ignore[no-untyped-call]
            prefix="apis" if self.group else "api",
            group=self.group,
            api_version=self.version,
            kind=self.kind,
            name=self.plural,
            namespaced=True,
        )


MESHES = Kind(names.GROUP, names.VERSION, names.KIND, names.PLURAL)
PODS = Kind("", "v1", "Pod", "pods")
SECRETS = Kind("", "v1", "Secret", "secrets")
CLAIMS = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
CONFIG_MAPS = Kind("", "v1", "ConfigMap", "configmaps")
SERVICES = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts")
EVENTS = Kind("", "v1", "Event", "events")
STATEFULSETS = Kind("apps", "v1", "StatefulSet", "statefulsets")
BUDGETS = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
POD_MONITORS = Kind("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors")
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases")

# What a mesh owns and every pass lists; PodMonitors besides, where the cluster has them.
OWNED = (STATEFULSETS, SERVICES, CONFIG_MAPS, SERVICE_ACCOUNTS, BUDGETS, NETWORK_POLICIES)

_KINDS = {kind.kind: kind for kind in (*OWNED, MESHES, PODS, SECRETS, CLAIMS, EVENTS, POD_MONITORS, LEASES)}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    return _KINDS[manifest["kind"]]


def find_kind(name: str) -> Kind:
    return _KINDS[name]
