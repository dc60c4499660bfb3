"""The node's configuration: frozen dataclasses, one a section. Numbers and words to choose from are `hermes_core.limits`'.

`hermes_node.config.sources` fills them, `hermes_node.config.rules` judges them, `tools.generate_configuration` documents them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from hermes_core import limits
from hermes_core.bounds import Limited, choice, default
from hermes_core.limits import ADMIN_PORT, APP_PORT, MESH_PORT

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], choice("info", "Least severe event that is written.")]
AppSecurity = Literal["TLS", "mutual TLS", "plain"]
LogFormat = Annotated[Literal["json", "text"], choice("json", "json for machines, text for people.")]


def text(meaning: str) -> Meta:
    """The annotation of a setting that is neither a number nor a choice."""
    return Meta(description=meaning)


@dataclass(frozen=True)
class NodeSection(Limited):
    """Who this node is and where it keeps its files."""

    id: Annotated[
        str, text("Name in the mesh: a DNS label of at most 63 characters; under Kubernetes the pod's name. Required.")
    ] = ""
    data_dir: Annotated[str, text("Folder of the keystore; it must outlive restarts.")] = "/var/lib/hermes"
    core_dumps: Annotated[
        bool, text("Let the process be dumped and attached to, for debugging: a dump holds every key that the node holds.")
    ] = False
    ready_file: Annotated[
        str, text("Where to write the bound addresses and the pid as JSON once the node serves; empty: nowhere.")
    ] = ""


@dataclass(frozen=True)
class AppSection(Limited):
    """The AppRouter service, for apps."""

    listen: Annotated[str, text("host:port for apps; port 0 asks the system; 0.0.0.0 is IPv6 as well.")] = f"0.0.0.0:{APP_PORT}"
    advertise: Annotated[
        str, text("host:port under which apps reach this node, told to them by other nodes; empty: the bound address.")
    ] = ""
    tls_cert: Annotated[
        str,
        text("Certificate chain (PEM). TLS is on when this is set; needed beyond loopback. Reloaded when the file changes."),
    ] = ""
    tls_key: Annotated[str, text("Private key (PEM) of the certificate.")] = ""
    plaintext: Annotated[
        bool, text("Serve apps without TLS beyond loopback as well, for a node behind something that ends TLS.")
    ] = False
    tls_client_ca: Annotated[str, text("CA bundle (PEM): when set, apps must show a certificate it signed.")] = ""
    transport: limits.AppTransport = default(limits.AppTransport)
    fronts: limits.AppFronts = default(limits.AppFronts)
    trusted_proxies: Annotated[
        tuple[str, ...],
        text(
            "Networks, as 10.0.0.0/8, whose connections must begin with a PROXY header (version 2) that says for whom they "
            'are; needs transport "hermes".'
        ),
    ] = ()
    heartbeat_interval_s: limits.AppHeartbeatIntervalS = default(limits.AppHeartbeatIntervalS)

    @property
    def security(self) -> AppSecurity:
        """What apps are served with."""
        if not self.tls_cert:
            return "plain"
        return "mutual TLS" if self.tls_client_ca else "TLS"


@dataclass(frozen=True)
class MeshSection(Limited):
    """The NodeMesh service, between nodes; always mutual TLS."""

    listen: Annotated[str, text("host:port for other nodes, as app.listen; empty: no mesh, a single node.")] = (
        f"0.0.0.0:{MESH_PORT}"
    )
    advertise: Annotated[
        str, text("host:port that other nodes dial; empty: mesh.listen, which must not be every address then.")
    ] = ""
    seeds: Annotated[
        tuple[str, ...],
        text("Nodes to join through, which may name this one: host:port, or dns:name:port for every address behind the name."),
    ] = ()
    tls_cert: Annotated[str, text("Certificate chain (PEM) with DNS:<node id> among its names. Required with mesh.listen.")] = (
        ""
    )
    tls_key: Annotated[str, text("Private key (PEM) of the certificate.")] = ""
    tls_ca: Annotated[str, text("CA bundle (PEM) that signs every node of the mesh.")] = ""
    membership: limits.MeshMembership = default(limits.MeshMembership)
    heartbeat_interval_s: limits.MeshHeartbeatIntervalS = default(limits.MeshHeartbeatIntervalS)
    dead_after_s: limits.DeadAfterS = default(limits.DeadAfterS)
    route_idle_s: limits.RouteIdleS = default(limits.RouteIdleS)
    direct_again_s: limits.DirectAgainS = default(limits.DirectAgainS)
    churn_grace_s: limits.ChurnGraceS = default(limits.ChurnGraceS)
    join_grace_s: limits.JoinGraceS = default(limits.JoinGraceS)
    witness_wait_s: limits.WitnessWaitS = default(limits.WitnessWaitS)
    opening_wait_s: limits.OpeningWaitS = default(limits.OpeningWaitS)


@dataclass(frozen=True)
class AdminSection(Limited):
    """The admin HTTP server: health, metrics, and what the operator asks."""

    listen: Annotated[str, text("host:port for admin HTTP, as app.listen.")] = f"0.0.0.0:{ADMIN_PORT}"
    token_file: Annotated[
        str, text("File with the bearer token of the endpoints that act or tell more than health; empty: those answer 401.")
    ] = ""


@dataclass(frozen=True)
class KeystoreSection(Limited):
    """The sealed keystore."""

    path: Annotated[str, text("File of the keystore; empty: <node.data_dir>/keystore.db.")] = ""
    passphrase_file: Annotated[
        str,
        text("File or pipe with the passphrase, one line; or give it as HERMES_KEYSTORE_PASSPHRASE. One line end is dropped."),
    ] = ""
    create: Annotated[bool, text("Make the keystore when there is none. False: a missing file is an error.")] = True
    argon2_memory_kib: limits.Argon2MemoryKib = default(limits.Argon2MemoryKib)
    argon2_time_cost: limits.Argon2TimeCost = default(limits.Argon2TimeCost)
    argon2_lanes: limits.Argon2Lanes = default(limits.Argon2Lanes)
    argon2_any_cost: Annotated[
        bool, text("Open a keystore that asks for more than four times the Argon2id memory or work configured here.")
    ] = False
    on_rollback: limits.OnRollback = default(limits.OnRollback)
    erase_within_s: limits.EraseWithinS = default(limits.EraseWithinS)
    rotate_interval_s: limits.RotateIntervalS = default(limits.RotateIntervalS)
    rotate_after_deletes: limits.RotateAfterDeletes = default(limits.RotateAfterDeletes)


@dataclass(frozen=True)
class CryptoSection(Limited):
    """Channels, ratchets and rekeys."""

    suites: limits.Suites = default(limits.Suites)
    window: limits.Window = default(limits.Window)
    max_skip: limits.MaxSkip = default(limits.MaxSkip)
    overlap_s: limits.OverlapS = default(limits.OverlapS)
    max_key_lifetime_s: limits.MaxKeyLifetimeS = default(limits.MaxKeyLifetimeS)
    max_key_messages: limits.MaxKeyMessages = default(limits.MaxKeyMessages)
    rekey_grace_s: limits.RekeyGraceS = default(limits.RekeyGraceS)
    rekey_burst: limits.RekeyBurst = default(limits.RekeyBurst)
    rekey_refill_s: limits.RekeyRefillS = default(limits.RekeyRefillS)


@dataclass(frozen=True)
class LimitsSection(Limited):
    """Bounds of everything an outsider can grow."""

    max_sessions: limits.MaxSessions = default(limits.MaxSessions)
    max_unauthenticated_streams: limits.MaxUnauthenticatedStreams = default(limits.MaxUnauthenticatedStreams)
    max_connections: limits.MaxConnections = default(limits.MaxConnections)
    max_unproven_connections: limits.MaxUnprovenConnections = default(limits.MaxUnprovenConnections)
    max_unproven_connections_per_address: limits.MaxUnprovenConnectionsPerAddress = default(
        limits.MaxUnprovenConnectionsPerAddress
    )
    front_memory_mib: limits.FrontMemory = default(limits.FrontMemory)
    max_streams_per_connection: limits.MaxStreamsPerConnection = default(limits.MaxStreamsPerConnection)
    connect_timeout_s: limits.ConnectTimeoutS = default(limits.ConnectTimeoutS)
    max_chats: limits.MaxChats = default(limits.MaxChats)
    max_chats_per_app: limits.MaxChatsPerApp = default(limits.MaxChatsPerApp)
    max_handshakes_per_app: limits.MaxHandshakesPerApp = default(limits.MaxHandshakesPerApp)
    handshake_refill_s: limits.HandshakeRefillS = default(limits.HandshakeRefillS)
    max_invalid_batches: limits.MaxInvalidBatches = default(limits.MaxInvalidBatches)
    session_queue_frames: limits.SessionQueueFrames = default(limits.SessionQueueFrames)
    session_queue_bytes: limits.SessionQueueBytes = default(limits.SessionQueueBytes)
    peer_queue_frames: limits.PeerQueueFrames = default(limits.PeerQueueFrames)
    peer_queue_bytes: limits.PeerQueueBytes = default(limits.PeerQueueBytes)
    max_peers: limits.MaxPeers = default(limits.MaxPeers)
    max_carried_streams: limits.MaxCarriedStreams = default(limits.MaxCarriedStreams)
    max_carried_kib: limits.MaxCarriedKib = default(limits.MaxCarriedKib)


@dataclass(frozen=True)
class CleanupSection(Limited):
    """When things end."""

    idle_timeout_s: limits.IdleTimeoutS = default(limits.IdleTimeoutS)
    handshake_timeout_s: limits.HandshakeTimeoutS = default(limits.HandshakeTimeoutS)
    wipe_on_shutdown: Annotated[
        bool,
        text("Give every chat up with NODE_SHUTDOWN and erase the keystore when the node stops; apps take them elsewhere."),
    ] = False
    drain_timeout_s: limits.DrainTimeoutS = default(limits.DrainTimeoutS)


@dataclass(frozen=True)
class LogSection(Limited):
    """What is written to standard error."""

    level: LogLevel = default(LogLevel)
    format: LogFormat = default(LogFormat)


@dataclass(frozen=True)
class Config:
    """The whole configuration; made by `hermes_node.config.sources.load_config`."""

    node: NodeSection = field(default_factory=NodeSection)
    app: AppSection = field(default_factory=AppSection)
    mesh: MeshSection = field(default_factory=MeshSection)
    admin: AdminSection = field(default_factory=AdminSection)
    keystore: KeystoreSection = field(default_factory=KeystoreSection)
    crypto: CryptoSection = field(default_factory=CryptoSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    cleanup: CleanupSection = field(default_factory=CleanupSection)
    log: LogSection = field(default_factory=LogSection)

    @property
    def keystore_path(self) -> Path:
        return Path(self.keystore.path) if self.keystore.path else Path(self.node.data_dir) / "keystore.db"

    @property
    def mesh_enabled(self) -> bool:
        return bool(self.mesh.listen)


SECTIONS: dict[str, type[Any]] = {
    "node": NodeSection,
    "app": AppSection,
    "mesh": MeshSection,
    "admin": AdminSection,
    "keystore": KeystoreSection,
    "crypto": CryptoSection,
    "limits": LimitsSection,
    "cleanup": CleanupSection,
    "log": LogSection,
}
