"""The wanted mesh as frozen values, read from a HermesMesh object; defaults are those of the CRD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermes_operator import names
from hermes_operator.durations import parse_duration

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    """One key of a Secret of the mesh's namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class KeystoreSpec:
    size: str = "1Gi"
    storage_class_name: str | None = None
    retention_policy: str = "Retain"
    passphrase_secret_ref: SecretKeyRef | None = None
    argon2_memory_kib: int = 65536
    argon2_time_cost: int = 3
    argon2_lanes: int = 1
    rotation_interval_s: float = 86400.0


@dataclass(frozen=True, slots=True)
class CryptoSpec:
    hash: str = "sha256"
    window: int = 256
    max_skip: int = 1024
    max_key_lifetime_s: float = 604800.0
    max_key_messages: int = 1000000


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    max_sessions: int = 10000
    max_chats: int = 200000
    max_chats_per_app: int = 10000
    max_handshakes_per_app: int = 200


@dataclass(frozen=True, slots=True)
class CleanupSpec:
    idle_timeout_s: float = 2592000.0
    handshake_timeout_s: float = 30.0
    churn_grace_s: float = 600.0
    drain_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    paused: bool = False
    max_wait_s: int = 600


@dataclass(frozen=True, slots=True)
class PodMonitorSpec:
    enabled: bool = True
    interval: str = "30s"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What the mesh's pods get besides what the operator decides; values as in a Kubernetes PodSpec."""

    image: str = "hermes:dev"
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] | None = None
    topology_spread_constraints: tuple[Mapping[str, Any], ...] = ()
    priority_class_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MeshSpec:
    """One HermesMesh: whose it is and what is wanted."""

    name: str
    namespace: str
    uid: str
    generation: int
    replicas: int = 3
    pod: PodSpec = field(default_factory=PodSpec)
    keystore: KeystoreSpec = field(default_factory=KeystoreSpec)
    crypto: CryptoSpec = field(default_factory=CryptoSpec)
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    cleanup: CleanupSpec = field(default_factory=CleanupSpec)
    rollout: RolloutSpec = field(default_factory=RolloutSpec)
    service_type: str = "ClusterIP"
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    pod_monitor: PodMonitorSpec = field(default_factory=PodMonitorSpec)
    network_policy: bool = True
    restarted_at: str | None = None
    deleted_at: str | None = None

    @property
    def passphrase(self) -> SecretKeyRef:
        """Where the passphrase is: the named Secret, or the one that is generated."""
        return self.keystore.passphrase_secret_ref or SecretKeyRef(names.passphrase_secret(self.name), names.PASSPHRASE_KEY)

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(names.pod_name(self.name, ordinal) for ordinal in range(self.replicas))


def parse_mesh(body: Mapping[str, Any]) -> MeshSpec:
    """Read a HermesMesh object as the API server stores it; what it lacks gets the CRD's default."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    service, monitoring = spec.get("service") or {}, spec.get("monitoring") or {}
    return MeshSpec(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        replicas=spec.get("replicas", 3),
        pod=_parse_pod(spec),
        keystore=_parse_keystore(spec.get("keystore") or {}),
        crypto=_parse_crypto(spec.get("crypto") or {}),
        limits=_parse_limits(spec.get("limits") or {}),
        cleanup=_parse_cleanup(spec.get("cleanup") or {}),
        rollout=_parse_rollout(spec.get("rollout") or {}),
        service_type=service.get("type", "ClusterIP"),
        service_annotations=dict(service.get("annotations") or {}),
        pod_monitor=_parse_pod_monitor(monitoring.get("podMonitor") or {}),
        network_policy=(spec.get("networkPolicy") or {}).get("enabled", True),
        restarted_at=(metadata.get("annotations") or {}).get(names.ANNOTATION_RESTARTED),
        deleted_at=metadata.get("deletionTimestamp"),
    )


def _parse_pod(spec: Json) -> PodSpec:
    return PodSpec(
        image=spec.get("image", "hermes:dev"),
        image_pull_policy=spec.get("imagePullPolicy", "IfNotPresent"),
        image_pull_secrets=tuple(secret["name"] for secret in spec.get("imagePullSecrets") or []),
        resources=spec.get("resources") or {},
        node_selector=spec.get("nodeSelector") or {},
        tolerations=tuple(spec.get("tolerations") or []),
        affinity=spec.get("affinity"),
        topology_spread_constraints=tuple(spec.get("topologySpreadConstraints") or []),
        priority_class_name=spec.get("priorityClassName"),
        labels=spec.get("podLabels") or {},
        annotations=spec.get("podAnnotations") or {},
        env=tuple((variable["name"], variable.get("value", "")) for variable in spec.get("env") or []),
    )


def _parse_keystore(keystore: Json) -> KeystoreSpec:
    argon2, reference = keystore.get("argon2") or {}, keystore.get("passphraseSecretRef")
    return KeystoreSpec(
        size=keystore.get("size", "1Gi"),
        storage_class_name=keystore.get("storageClassName"),
        retention_policy=keystore.get("retentionPolicy", "Retain"),
        passphrase_secret_ref=SecretKeyRef(reference["name"], reference.get("key", names.PASSPHRASE_KEY))
        if reference
        else None,
        argon2_memory_kib=argon2.get("memoryKiB", 65536),
        argon2_time_cost=argon2.get("timeCost", 3),
        argon2_lanes=argon2.get("lanes", 1),
        rotation_interval_s=parse_duration(keystore.get("rotationInterval", "24h")),
    )


def _parse_crypto(crypto: Json) -> CryptoSpec:
    return CryptoSpec(
        hash=crypto.get("hash", "sha256"),
        window=crypto.get("window", 256),
        max_skip=crypto.get("maxSkip", 1024),
        max_key_lifetime_s=parse_duration(crypto.get("maxKeyLifetime", "168h")),
        max_key_messages=crypto.get("maxKeyMessages", 1000000),
    )


def _parse_limits(limits: Json) -> LimitsSpec:
    return LimitsSpec(
        max_sessions=limits.get("maxSessions", 10000),
        max_chats=limits.get("maxChats", 200000),
        max_chats_per_app=limits.get("maxChatsPerApp", 10000),
        max_handshakes_per_app=limits.get("maxHandshakesPerApp", 200),
    )


def _parse_cleanup(cleanup: Json) -> CleanupSpec:
    return CleanupSpec(
        idle_timeout_s=parse_duration(cleanup.get("idleTimeout", "720h")),
        handshake_timeout_s=parse_duration(cleanup.get("handshakeTimeout", "30s")),
        churn_grace_s=parse_duration(cleanup.get("churnGrace", "10m")),
        drain_timeout_s=parse_duration(cleanup.get("drainTimeout", "10s")),
    )


def _parse_rollout(rollout: Json) -> RolloutSpec:
    return RolloutSpec(paused=rollout.get("paused", False), max_wait_s=rollout.get("maxWaitSeconds", 600))


def _parse_pod_monitor(monitor: Json) -> PodMonitorSpec:
    return PodMonitorSpec(
        enabled=monitor.get("enabled", True), interval=monitor.get("interval", "30s"), labels=monitor.get("labels") or {}
    )
