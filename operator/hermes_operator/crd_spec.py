"""The wanted mesh as frozen values, read from a HermesMesh object.

Defaults and bounds are `hermes_core.limits`' and those stated here; `tools.fill_crd_numbers` writes both into the definition.
Fields are called as in the manifest, in snake_case and with their unit: `maxKeyLifetime: 168h` is `max_key_lifetime_s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from typing import Annotated, Any, Literal, TypeVar

from hermes_core import limits
from hermes_core.bounds import Limited, LimitError, bounds, choice, default, quote, read_tunable, tunables_of
from hermes_operator import names
from hermes_operator.durations import format_duration, parse_duration, parse_quantity

Json = dict[str, Any]
T = TypeVar("T")

Replicas = Annotated[int, bounds(3, 1, 100, "nodes", "Number of nodes.")]
MaxWaitS = Annotated[
    int, bounds(600, 10, 86_400, "s", "How long one node may take to come back and prove its resume, before the rollout fails.")
]
ChatsInRollouts = Annotated[
    Literal["Resume", "Move"],
    choice("Resume", "Chats of a node that restarts wait for it (Resume), or move to others first. Scaling down always moves."),
]
_FRONT_MIB = read_tunable(limits.FrontMemory).default
_MIB = 1024 * 1024
_ROTATE = read_tunable(limits.RotateIntervalS)
# A mesh always rotates, and not all the time: narrower than the node's own bounds.
RotationIntervalS = Annotated[
    float,
    bounds(
        _ROTATE.default, 60, _ROTATE.high, _ROTATE.unit, "How often a node re-seals its keystore under a fresh generation key."
    ),
]


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    """One key of a Secret of the mesh's namespace."""

    name: str
    key: str = names.PASSPHRASE_KEY


@dataclass(frozen=True, slots=True)
class Argon2Spec(Limited):
    memory_kib: limits.Argon2MemoryKib = default(limits.Argon2MemoryKib)
    time_cost: limits.Argon2TimeCost = default(limits.Argon2TimeCost)
    lanes: limits.Argon2Lanes = default(limits.Argon2Lanes)


@dataclass(frozen=True, slots=True)
class KeystoreSpec(Limited):
    size: str = "1Gi"
    storage_class_name: str | None = None
    retention_policy: str = "Retain"
    passphrase_secret_ref: SecretKeyRef | None = None
    argon2: Argon2Spec = field(default_factory=Argon2Spec)
    rotation_interval_s: RotationIntervalS = default(RotationIntervalS)
    on_rollback: limits.OnRollback = default(limits.OnRollback)
    witness_wait_s: limits.WitnessWaitS = default(limits.WitnessWaitS)
    opening_wait_s: limits.OpeningWaitS = default(limits.OpeningWaitS)


@dataclass(frozen=True, slots=True)
class CryptoSpec(Limited):
    """Fields are the node's settings of section [crypto]."""

    suites: limits.Suites = default(limits.Suites)
    window: limits.Window = default(limits.Window)
    max_skip: limits.MaxSkip = default(limits.MaxSkip)
    max_key_lifetime_s: limits.MaxKeyLifetimeS = default(limits.MaxKeyLifetimeS)
    max_key_messages: limits.MaxKeyMessages = default(limits.MaxKeyMessages)


@dataclass(frozen=True, slots=True)
class LimitsSpec(Limited):
    """Fields are the node's settings of section [limits]."""

    max_sessions: limits.MaxSessions = default(limits.MaxSessions)
    max_chats: limits.MaxChats = default(limits.MaxChats)
    max_chats_per_app: limits.MaxChatsPerApp = default(limits.MaxChatsPerApp)
    max_handshakes_per_app: limits.MaxHandshakesPerApp = default(limits.MaxHandshakesPerApp)


@dataclass(frozen=True, slots=True)
class AppSpec(Limited):
    """Fields are the node's settings of section [app]."""

    transport: limits.AppTransport = default(limits.AppTransport)
    fronts: limits.AppFronts = default(limits.AppFronts)
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Limited.__post_init__(self)
        if self.fronts > 0 and self.transport != "hermes":
            raise LimitError("fronts", "needs transport hermes: gRPC's library serves in the node's own process")
        for text in self.trusted_proxies:
            try:
                ip_network(text)
            except ValueError:
                problem = f"{quote(text)} is no network: an address, or one with /bits and zeros behind them"
                raise LimitError("trusted_proxies", problem) from None
        if self.trusted_proxies and self.transport != "hermes":
            raise LimitError("trusted_proxies", "needs transport hermes: gRPC's library reads no PROXY header")


@dataclass(frozen=True, slots=True)
class CleanupSpec(Limited):
    idle_timeout_s: limits.IdleTimeoutS = default(limits.IdleTimeoutS)
    handshake_timeout_s: limits.HandshakeTimeoutS = default(limits.HandshakeTimeoutS)
    churn_grace_s: limits.ChurnGraceS = default(limits.ChurnGraceS)
    drain_timeout_s: limits.DrainTimeoutS = default(limits.DrainTimeoutS)


@dataclass(frozen=True, slots=True)
class RolloutSpec(Limited):
    chats: ChatsInRollouts = default(ChatsInRollouts)
    paused: bool = False
    max_wait_s: MaxWaitS = default(MaxWaitS)


@dataclass(frozen=True, slots=True)
class PodMonitorSpec:
    """`interval` stays the text it is: Prometheus reads it."""

    enabled: bool = True
    interval: str = field(default="30s", metadata={"at_least_s": 1})
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least_s = self.__dataclass_fields__["interval"].metadata["at_least_s"]
        try:
            if parse_duration(self.interval) >= least_s:
                return
        except ValueError as error:
            raise LimitError("interval", str(error)) from None
        raise LimitError("interval", f"{self.interval} is not at least {format_duration(least_s)}")


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
class MeshSpec(Limited):
    """One HermesMesh: whose it is and what is wanted."""

    name: str
    namespace: str
    uid: str
    generation: int
    replicas: Replicas = default(Replicas)
    pod: PodSpec = field(default_factory=PodSpec)
    app: AppSpec = field(default_factory=AppSpec)
    keystore: KeystoreSpec = field(default_factory=KeystoreSpec)
    crypto: CryptoSpec = field(default_factory=CryptoSpec)
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    cleanup: CleanupSpec = field(default_factory=CleanupSpec)
    rollout: RolloutSpec = field(default_factory=RolloutSpec)
    service_type: str = "ClusterIP"
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    service_node_address: str = ""
    pod_monitor: PodMonitorSpec = field(default_factory=PodMonitorSpec)
    network_policy: bool = True
    restarted_at: str | None = None
    deleted_at: str | None = None

    def __post_init__(self) -> None:
        Limited.__post_init__(self)
        if problem := self._find_memory_problem():
            raise LimitError("app.fronts", problem)

    def _find_memory_problem(self) -> str:
        """Each of its nodes would end with the same at its start; without a number a node takes as many as fit."""
        limit = (self.pod.resources.get("limits") or {}).get("memory")
        if self.app.fronts <= 0 or limit is None:
            return ""
        owner_mib = limits.OWNER_BYTES // _MIB
        needed_mib, given_mib = self.app.fronts * _FRONT_MIB + owner_mib, parse_quantity(limit) / _MIB
        if needed_mib <= given_mib:
            return ""
        fitting = max(0, int(given_mib - owner_mib) // _FRONT_MIB)
        return (
            f"{self.app.fronts} fronts of {_FRONT_MIB} MiB and {owner_mib} MiB for the node are {needed_mib} MiB, more than"
            f" spec.resources.limits.memory ({limit}), in which {fitting or 'not even one'} would fit"
        )

    @property
    def passphrase(self) -> SecretKeyRef:
        """Where the passphrase is: the named Secret, or the one that is generated."""
        return self.keystore.passphrase_secret_ref or SecretKeyRef(names.passphrase_secret(self.name))

    @property
    def node_address(self) -> str:
        """host:port under which apps reach one node, with $(POD_NAME) for its name."""
        if self.service_node_address:
            return self.service_node_address
        return f"{names.POD_NAME_VARIABLE}.{names.headless_service(self.name)}.{self.namespace}.svc:{names.APP_PORT}"

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(names.pod_name(self.name, ordinal) for ordinal in range(self.replicas))


def parse_mesh(body: Mapping[str, Any]) -> MeshSpec:
    """Read a HermesMesh object as the API server stores it; what it lacks gets its default.

    LimitError, which is a ValueError, names the field that the definition would have refused: an older one may be installed.
    """
    metadata, spec = body["metadata"], body.get("spec") or {}
    service, monitoring = spec.get("service") or {}, spec.get("monitoring") or {}
    given = {
        "replicas": spec.get("replicas"),
        "serviceType": service.get("type"),
        "serviceNodeAddress": service.get("nodeAddress"),
        "networkPolicy": (spec.get("networkPolicy") or {}).get("enabled"),
    }
    return _parse(
        MeshSpec,
        given,
        "spec",
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        pod=_parse_pod(spec),
        app=_parse_app(spec.get("app") or {}),
        keystore=_parse_keystore(spec.get("keystore") or {}),
        crypto=_parse(CryptoSpec, spec.get("crypto") or {}, "spec.crypto"),
        limits=_parse(LimitsSpec, spec.get("limits") or {}, "spec.limits"),
        cleanup=_parse(CleanupSpec, spec.get("cleanup") or {}, "spec.cleanup"),
        rollout=_parse(RolloutSpec, spec.get("rollout") or {}, "spec.rollout"),
        service_annotations=dict(service.get("annotations") or {}),
        pod_monitor=_parse(PodMonitorSpec, monitoring.get("podMonitor") or {}, "spec.monitoring.podMonitor"),
        restarted_at=(metadata.get("annotations") or {}).get(names.ANNOTATION_RESTARTED),
        deleted_at=metadata.get("deletionTimestamp"),
    )


def manifest_name(kind: type, name: str) -> str:
    """What a manifest calls a field: camelCase, a duration (which says its unit itself) without `_s`."""
    first, *others = name.split("_")
    if others and others[-1] == "s":
        others[-1:] = [] if tunables_of(kind)[name].type is float else ["seconds"]
    return first + "".join("KiB" if word == "kib" else word.capitalize() for word in others)


def _parse(kind: type[T], given: Json, path: str, **more: Any) -> T:
    """A part of the spec from the same part of the manifest; `more` is what the caller read already."""
    values = dict(more)
    for item in fields(kind):  # type: ignore[arg-type]  # a dataclass, which a TypeVar cannot say
        name = manifest_name(kind, item.name)
        if item.name not in more and given.get(name) is not None:
            values[item.name] = _parse_value(kind, item.name, given[name], f"{path}.{name}")
    try:
        return kind(**values)
    except LimitError as error:
        raise error.renamed(lambda name: f"{path}.{manifest_name(kind, name)}") from None


def _parse_value(kind: type, name: str, value: Any, path: str) -> Any:
    tunable = tunables_of(kind).get(name)
    if tunable is not None and tunable.many and isinstance(value, list):
        return tuple(value)
    if tunable is None or tunable.type is not float:
        return value
    try:
        return parse_duration(str(value))
    except ValueError as error:
        raise LimitError(path, str(error)) from None


def _parse_pod(spec: Json) -> PodSpec:
    return _parse(
        PodSpec,
        spec,
        "spec",
        image_pull_secrets=tuple(secret["name"] for secret in spec.get("imagePullSecrets") or []),
        tolerations=tuple(spec.get("tolerations") or []),
        topology_spread_constraints=tuple(spec.get("topologySpreadConstraints") or []),
        labels=spec.get("podLabels") or {},
        annotations=spec.get("podAnnotations") or {},
        env=tuple((variable["name"], variable.get("value", "")) for variable in spec.get("env") or []),
    )


def _parse_app(app: Json) -> AppSpec:
    return _parse(AppSpec, app, "spec.app", trusted_proxies=tuple(app.get("trustedProxies") or ()))


def _parse_keystore(keystore: Json) -> KeystoreSpec:
    reference = keystore.get("passphraseSecretRef")
    return _parse(
        KeystoreSpec,
        keystore,
        "spec.keystore",
        passphrase_secret_ref=_parse(SecretKeyRef, reference, "spec.keystore.passphraseSecretRef") if reference else None,
        argon2=_parse(Argon2Spec, keystore.get("argon2") or {}, "spec.keystore.argon2"),
    )
