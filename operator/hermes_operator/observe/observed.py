"""What the cluster shows of one mesh, as frozen values read from API objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hermes_operator import names
from hermes_operator.observe.failures import NodeFailure, read_failure
from hermes_operator.observe.secrets import MeshSecrets

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod. `failed`: it will not become ready by itself soon."""

    name: str
    uid: str
    revision: str
    ready: bool = False
    running: bool = False
    terminating: bool = False
    ip: str = ""
    restarts: int = 0
    failure: NodeFailure | None = None

    @property
    def ordinal(self) -> int:
        return names.pod_ordinal(self.name)

    @property
    def failed(self) -> bool:
        return self.failure is not None and not self.ready


@dataclass(frozen=True, slots=True)
class StatefulSetView:
    """`settled`: the controller has seen the newest spec, so that the revisions below speak of it."""

    replicas: int
    partition: int
    current_revision: str
    update_revision: str
    settled: bool
    template: Json
    claim_size: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What a plan is made from, besides the wanted spec. `objects`: all but Secrets, pods and claims, by kind and name."""

    now: datetime
    objects: Mapping[tuple[str, str], Json]
    statefulset: StatefulSetView | None = None
    pods: tuple[PodView, ...] = ()
    claims: tuple[Json, ...] = ()
    secrets: MeshSecrets = field(default_factory=MeshSecrets)
    status: Json = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    pod_monitor_api: bool = False

    def pod(self, name: str) -> PodView | None:
        return next((pod for pod in self.pods if pod.name == name), None)


def read_pods(bodies: Iterable[Json], mesh: str) -> tuple[PodView, ...]:
    """Pods of the mesh's StatefulSet by ordinal; others that carry its labels are left out."""
    owned = (body for body in bodies if _is_member(body, mesh))
    return tuple(sorted((_read_pod(body) for body in owned), key=lambda pod: pod.ordinal))


def _is_member(body: Json, mesh: str) -> bool:
    name = body["metadata"]["name"]
    return name.rpartition("-")[0] == mesh and names.pod_ordinal(name) >= 0


def _read_pod(body: Json) -> PodView:
    metadata, status = body["metadata"], body.get("status") or {}
    container: Json = next((c for c in status.get("containerStatuses") or [] if c.get("name") == names.CONTAINER), {})
    terminating = bool(metadata.get("deletionTimestamp"))
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    return PodView(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        revision=(metadata.get("labels") or {}).get("controller-revision-hash", ""),
        ready=conditions.get("Ready") == "True" and not terminating,
        running="running" in (container.get("state") or {}) and not terminating,
        terminating=terminating,
        ip=status.get("podIP", ""),
        restarts=container.get("restartCount", 0),
        failure=None if terminating else read_failure(status.get("phase", ""), container),
    )


def read_statefulset(body: Json | None) -> StatefulSetView | None:
    if body is None:
        return None
    spec, status = body["spec"], body.get("status") or {}
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    claims = spec.get("volumeClaimTemplates") or [{}]
    return StatefulSetView(
        replicas=spec.get("replicas", 1),
        partition=rolling.get("partition", 0),
        current_revision=status.get("currentRevision", ""),
        update_revision=status.get("updateRevision", ""),
        settled=status.get("observedGeneration", 0) >= body["metadata"].get("generation", 1),
        template=spec["template"],
        claim_size=claims[0].get("spec", {}).get("resources", {}).get("requests", {}).get("storage", ""),
    )
