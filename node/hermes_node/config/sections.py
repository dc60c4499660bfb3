"""The node's configuration: frozen dataclasses, one a section; every field has its unit in its name and a reason in its text.

`hermes_node.config.sources` fills them, `hermes_node.config.rules` judges them, `hermes_node.config.reference` documents them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermes_core import limits
from hermes_core.bounds import read_tunable

MEMORY_KIB = read_tunable(limits.Argon2MemoryKib)


def setting(
    default: Any,
    text: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with its description and, for numbers and words, what is allowed."""
    metadata = {"text": text, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeSection:
    """Who this node is and where it keeps its files."""

    id: str = setting("", "Name in the mesh: a DNS label of at most 63 characters; under Kubernetes the pod's name. Required.")
    data_dir: str = setting("/var/lib/hermes", "Folder of the keystore; it must outlive restarts.")
    ready_file: str = setting(
        "", "Where to write the bound addresses and the pid as JSON once the node serves; empty: nowhere."
    )


@dataclass(frozen=True)
class AppSection:
    """The AppRouter service, for apps."""

    listen: str = setting("0.0.0.0:8443", "host:port for apps; port 0 asks the system.")
    advertise: str = setting(
        "", "host:port under which apps reach this node, for its log and ready file; empty: the bound address."
    )
    tls_cert: str = setting("", "Certificate chain (PEM). TLS is on when this is set; reloaded when the file changes.")
    tls_key: str = setting("", "Private key (PEM) of the certificate.")
    tls_client_ca: str = setting("", "CA bundle (PEM): when set, apps must show a certificate it signed.")
    heartbeat_interval_s: float = setting(
        15.0,
        "A stream that sent nothing for this long sends a heartbeat; three silent intervals end it.",
        minimum=0.1,
        maximum=3600,
    )


@dataclass(frozen=True)
class MeshSection:
    """The NodeMesh service, between nodes; always mutual TLS."""

    listen: str = setting("0.0.0.0:7443", "host:port for other nodes; port 0 asks the system; empty: no mesh, a single node.")
    advertise: str = setting("", "host:port that other nodes dial; empty: the bound address.")
    seeds: tuple[str, ...] = setting(
        (), "Nodes to join through: host:port, or dns:name:port for every address the name resolves to."
    )
    tls_cert: str = setting("", "Certificate chain (PEM) with DNS:<node id> among its names. Required with mesh.listen.")
    tls_key: str = setting("", "Private key (PEM) of the certificate.")
    tls_ca: str = setting("", "CA bundle (PEM) that signs every node of the mesh.")
    heartbeat_interval_s: float = setting(1.0, "How often a node tells each peer that it lives.", minimum=0.05, maximum=60)
    dead_after_s: float = setting(5.0, "A peer silent for this long is dead.", minimum=0.2, maximum=600)
    churn_grace_s: float = setting(
        600.0, "Chats of a dead node are kept for this long, then closed with ROUTE_UNAVAILABLE.", minimum=0, maximum=604800
    )
    join_grace_s: float = setting(
        3.0, "How long to look for other nodes before this one counts as alone by design.", minimum=0, maximum=600
    )


@dataclass(frozen=True)
class AdminSection:
    """The admin HTTP server: health, metrics, and what the operator asks."""

    listen: str = setting("0.0.0.0:9090", "host:port for admin HTTP; port 0 asks the system.")
    token_file: str = setting(
        "", "File with the bearer token of the endpoints that act or tell more than health; empty: those answer 401."
    )


@dataclass(frozen=True)
class KeystoreSection:
    """The sealed keystore."""

    path: str = setting("", "File of the keystore; empty: <node.data_dir>/keystore.db.")
    passphrase_file: str = setting(
        "", "File with the passphrase; or give it as HERMES_KEYSTORE_PASSPHRASE. One trailing line end is dropped."
    )
    create: bool = setting(True, "Make the keystore when there is none. False: a missing file is an error.")
    argon2_memory_kib: int = setting(
        65536, "Argon2id memory for a new keystore, in KiB.", minimum=MEMORY_KIB.low, maximum=MEMORY_KIB.high
    )
    argon2_time_cost: int = setting(
        3, "Argon2id passes for a new keystore.", minimum=1, maximum=read_tunable(limits.Argon2TimeCost).high
    )
    argon2_lanes: int = setting(
        1, "Argon2id lanes for a new keystore.", minimum=1, maximum=read_tunable(limits.Argon2Lanes).high
    )
    rotate_interval_s: float = setting(
        86400.0, "Re-seal under a fresh generation key this often; 0: only after teardown bursts.", minimum=0, maximum=31536000
    )
    rotate_after_deletes: int = setting(
        256, "Re-seal under a fresh generation key after this many deleted chats.", minimum=1, maximum=1000000
    )


@dataclass(frozen=True)
class CryptoSection:
    """Channels, ratchets and rekeys."""

    hash: str = setting(
        "sha256", "Hash of handshake and ratchet; both ends of a chat must use the same.", choices=("sha256", "sha512")
    )
    window: int = setting(256, "Positions reserved on disk ahead of use; 1 writes for every message.", minimum=1, maximum=65536)
    max_skip: int = setting(1024, "Positions a receiver may skip forward.", minimum=1, maximum=65536)
    overlap_s: float = setting(30.0, "The old epoch's keys live at most this long beside the new ones.", minimum=0, maximum=600)
    max_key_lifetime_s: float = setting(604800.0, "An epoch older than this gets REKEY_REQUIRED.", minimum=10, maximum=31536000)
    max_key_messages: int = setting(
        1000000, "An epoch with more messages than this gets REKEY_REQUIRED.", minimum=16, maximum=2**40
    )
    rekey_grace_s: float = setting(
        300.0, "After REKEY_REQUIRED, the chat is closed when no rekey came.", minimum=1, maximum=86400
    )
    rekey_burst: int = setting(5, "Rekeys a chat may ask for at once.", minimum=1, maximum=1000)
    rekey_refill_s: float = setting(10.0, "Time for one more rekey of a chat.", minimum=0.01, maximum=3600)


@dataclass(frozen=True)
class LimitsSection:
    """Bounds of everything an outsider can grow."""

    max_sessions: int = setting(10000, "App streams at once.", minimum=1, maximum=1000000)
    max_unauthenticated_streams: int = setting(
        256, "App streams that have not answered the challenge.", minimum=1, maximum=100000
    )
    connect_timeout_s: float = setting(10.0, "Time to answer the challenge.", minimum=0.1, maximum=300)
    max_chats: int = setting(200000, "Chats on this node.", minimum=1, maximum=10000000)
    max_chats_per_app: int = setting(10000, "Chats of one app on this node.", minimum=1, maximum=1000000)
    max_handshakes_per_app: int = setting(200, "Chats an app may open at once.", minimum=1, maximum=100000)
    handshake_refill_s: float = setting(0.1, "Time for one more chat opening of an app.", minimum=0.0001, maximum=3600)
    max_invalid_batches: int = setting(64, "Malformed batches before a stream is ended.", minimum=1, maximum=1000000)
    session_queue_frames: int = setting(
        8192, "Frames waiting for one app; a reader slower than that is cut off.", minimum=256, maximum=1000000
    )
    session_queue_bytes: int = setting(16777216, "Bytes waiting for one app.", minimum=4194304, maximum=1073741824)
    peer_queue_frames: int = setting(65536, "Frames waiting for one node.", minimum=256, maximum=10000000)
    peer_queue_bytes: int = setting(67108864, "Bytes waiting for one node.", minimum=4194304, maximum=4294967296)
    max_peers: int = setting(1024, "Other nodes.", minimum=1, maximum=10000)


@dataclass(frozen=True)
class CleanupSection:
    """When things end."""

    idle_timeout_s: float = setting(2592000.0, "A chat without a message for this long expires.", minimum=1, maximum=315360000)
    handshake_timeout_s: float = setting(30.0, "A chat that is not confirmed by then is dropped.", minimum=0.5, maximum=3600)
    wipe_on_shutdown: bool = setting(False, "Close every chat with NODE_SHUTDOWN and erase the keystore when the node stops.")
    drain_timeout_s: float = setting(10.0, "After SIGTERM, apps have this long to leave.", minimum=0, maximum=3600)


@dataclass(frozen=True)
class LogSection:
    """What is written to standard error."""

    level: str = setting("info", "Least severe event that is written.", choices=("debug", "info", "warning", "error"))
    format: str = setting("json", "json for machines, text for people.", choices=("json", "text"))


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
