"""Every tunable of Hermes, once: default, range, unit and meaning. Whoever else needs one of these numbers reads it here.

Node settings, the core's parameters, the HermesMesh definition, the operator's spec and the reference pages are made of them
(see `hermes_core.bounds`). Names of fields end in the unit: `_s`, `_bytes`, `_kib`; what is counted is said here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from hermes_core.bounds import at_least_twice, at_most, bounds, choice, choices

_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S
_YEAR_S: Final = 365 * _DAY_S
_MIB: Final = 1024 * 1024

# What more than one part states and nobody can set.
MAX_BATCH_FRAMES: Final = 256
"""Frames of one batch on a stream; a queue holds at least one batch."""
MAX_BATCH_BYTES: Final = 4 * _MIB
WINDOW_MESSAGES: Final = 256
WINDOW_BYTES: Final = 4 * _MIB
UNCONFIRMED_TIME_S: Final = 7 * _DAY_S
"""Between two runs of a node at most this much time counts when no other clock confirms it."""
CLOCK_TOLERANCE_S: Final = 60
"""Clocks that differ by more do not agree."""
STAMP_AHEAD_S: Final = _HOUR_S
"""A Connect's stamp may be so far ahead of a node's clock."""
DIRECTORY_TTL_S: Final = 30 * _DAY_S
"""What an app said of its home counts for so long; a session is made anew after half of it."""
LAST_SEEN_INTERVAL_S: Final = 60
"""A node that commits nothing keeps the time this often."""
OWNER_BYTES: Final = 128 * _MIB
"""What a node needs beside its fronts, with a few thousand chats; docs/scaling.md has what it needs for more."""
MAX_CHATS_A_TIMER_PASS: Final = 512
"""Chats whose timers fire, or that end with a dead neighbour, in one pass; the others' turn is the next one."""
APP_PORT: Final = 8443
MESH_PORT: Final = 7443
ADMIN_PORT: Final = 9090
_MAX_SKIP: Final = 4096

# Channels.
SuiteName = Literal["x25519-sha256", "x25519-sha512", "x25519-mlkem768-sha256", "x25519-mlkem768-sha512"]
Suites = Annotated[
    tuple[SuiteName, ...],
    choices(
        ("x25519-sha256",),
        len(get_args(SuiteName)),
        "Suites that the hops of a node's chats may use, the preferred first; a hop never goes below the one that it has used.",
    ),
]
MaxSkip = Annotated[int, bounds(1024, 1, _MAX_SKIP, "positions", "How far a resume may move a position forward.")]
_FOLLOWED = at_most(MaxSkip, "after a restart a sender is a reservation ahead, and its peer must be able to follow")
Window = Annotated[
    int,
    bounds(256, 1, _MAX_SKIP, "positions", "Positions reserved on disk ahead of use; 1 writes for every message.", _FOLLOWED),
]
OverlapS = Annotated[float, bounds(30, 0, 600, "s", "The old epoch's keys live at most this long beside the new ones.")]

# Rekeys.
MaxKeyLifetimeS = Annotated[
    float,
    bounds(7 * _DAY_S, 10, _YEAR_S, "s", "An epoch older than this gets REKEY_REQUIRED; bounds what an old volume opens."),
]
MaxKeyMessages = Annotated[
    int, bounds(1_000_000, 16, 2**40, "messages", "An epoch with more messages than this gets REKEY_REQUIRED.")
]
RekeyGraceS = Annotated[
    float, bounds(300, 1, _DAY_S, "s", "After REKEY_REQUIRED, a chat is closed with RATCHET_FAILED when no rekey came.")
]
RekeyBurst = Annotated[int, bounds(5, 1, 1000, "rekeys", "Rekeys a chat may ask for at once.")]
RekeyRefillS = Annotated[float, bounds(10, 0.01, _HOUR_S, "s", "Time for one more rekey of a chat.")]
RekeyAppFactor = Annotated[
    int, bounds(20, 1, 1000, "times", "Over all its chats an app may rekey so many times as often as one chat may.")
]
RekeyRetryS = Annotated[float, bounds(5, 0.1, _HOUR_S, "s", "First wait before an app tries a rekey again; it doubles.")]

# Chats.
WindowMessages = Annotated[
    int, bounds(WINDOW_MESSAGES, 1, 65_536, "messages", "Messages an app may have unacknowledged in one chat.")
]
WindowBytes = Annotated[
    int,
    bounds(
        WINDOW_BYTES, _MIB // 8, 1024 * _MIB, "bytes", "Bytes of end-to-end frames an app may have unacknowledged in one chat."
    ),
]
MaxChats = Annotated[int, bounds(200_000, 1, 10_000_000, "chats", "Chats of one node.")]
MaxChatsPerApp = Annotated[int, bounds(10_000, 1, 1_000_000, "chats", "Chats of one app on one node.")]
MaxOffers = Annotated[
    int, bounds(64, 1, 10_000, "chats", "Chats offered to an app that it has neither taken nor refused; more are refused.")
]
MaxHandshakesPerApp = Annotated[
    int,
    bounds(
        200, 1, 100_000, "chats", "Offers that wait for an answer: of an app, and as many to it; as many it may begin at once."
    ),
]
HandshakeRefillS = Annotated[float, bounds(0.1, 0.0001, _HOUR_S, "s", "Time for one more first handshake of an app.")]
HandshakeTimeoutS = Annotated[
    float, bounds(30, 0.5, _HOUR_S, "s", "A first handshake or a rekey that has not come through by then is dropped.")
]
ReadyTimeoutS = Annotated[
    float, bounds(120, 1, _HOUR_S, "s", "An accepted chat whose initiator never confirmed ends after this long.")
]
HomePatienceS = Annotated[
    float,
    bounds(30, 0, _HOUR_S, "s", "How long an app waits for the home of its chats before it moves them; ±30 %, for each time."),
]
NoCommonEpochS = Annotated[
    float,
    bounds(600, 1, _DAY_S, "s", "A chat whose messages come in an epoch this app does not share ends after this long."),
]
IdleTimeoutS = Annotated[
    float, bounds(30 * _DAY_S, 1, 10 * _YEAR_S, "s", "A chat without a message for this long ends with EXPIRED and is erased.")
]
ChurnGraceS = Annotated[
    float,
    bounds(
        600,
        0,
        7 * _DAY_S,
        "s",
        "Without effect: no chat ends because a node stays away. Accepted, so that a setting of before stands.",
    ),
]
TombstoneTtlS = Annotated[
    float, bounds(30 * _DAY_S, 1, 10 * _YEAR_S, "s", "A notice nobody came back for is dropped after this long.")
]
MaxTombstones = Annotated[
    int, bounds(200_000, 1, 10_000_000, "notices", "Beyond this the oldest notice of an ended chat is dropped.")
]
ResumeBatch = Annotated[
    int, bounds(512, 1, 100_000, "chats", "Resumes sent to a peer that comes back before other work gets its turn.")
]
ResumeRetryS = Annotated[float, bounds(10, 0.1, _HOUR_S, "s", "A resume that was not answered is sent again after this long.")]
RetransmitMaxS = Annotated[float, bounds(60, 0.1, _HOUR_S, "s", "Longest wait before an app sends or asks again.")]
_DOUBLES = at_most(RetransmitMaxS, "the wait doubles up to it")
RetransmitS = Annotated[
    float, bounds(5, 0.1, _HOUR_S, "s", "First wait before everything unacknowledged is sent again; it doubles.", _DOUBLES)
]
DrainTimeoutS = Annotated[float, bounds(10, 0, _HOUR_S, "s", "How long a stopping node waits for its apps to leave.")]

# The mesh.
MeshHeartbeatIntervalS = Annotated[
    float, bounds(1, 0.05, 60, "s", "How often a node probes another one (with gossip: tells each peer that it lives).")
]
_TWO_BEATS = at_least_twice(MeshHeartbeatIntervalS, "one heartbeat that comes late must not kill a node")
DeadAfterS = Annotated[
    float, bounds(5, 0.2, 600, "s", "With mesh.membership = gossip a peer silent for this long is dead.", _TWO_BEATS)
]
MeshMembership = Annotated[
    Literal["gossip", "swim"],
    choice(
        "swim",
        "How the nodes of a mesh, all alike, find out who is there: a few probe each (swim), or each hears each (gossip).",
    ),
]
RouteIdleS = Annotated[
    float,
    bounds(
        300, 1, _DAY_S, "s", "A stream for chats that no chat needs is closed after this (not with mesh.membership = gossip)."
    ),
]
DirectAgainS = Annotated[
    float,
    bounds(60, 1, _DAY_S, "s", "For so long a node that is reached through a third one must answer directly before that ends."),
]
EvictAfterS = Annotated[
    float, bounds(_HOUR_S, 1, 7 * _DAY_S, "s", "How long a dead member is known: late hearsay must not bring it back.")
]
JoinGraceS = Annotated[
    float, bounds(3, 0, 600, "s", "How long to look for other nodes before this one counts as alone by design.")
]
WitnessWaitS = Annotated[
    float,
    bounds(2, 0, 600, "s", "After joining, restored chats wait so long for nodes that may know a later state of them."),
]
OpeningWaitS = Annotated[
    float, bounds(15, 0, 600, "s", "After a start, restored chats wait at most so long for the mesh and its witnesses.")
]
MaxPeers = Annotated[int, bounds(1024, 1, 10_000, "nodes", "Other nodes.")]
MaxCarriedStreams = Annotated[
    int,
    bounds(64, 0, 4096, "streams", "Streams for chats that this node passes on between two others that are out of reach."),
]
MaxCarriedKib = Annotated[int, bounds(1024, 64, _MIB, "KiB a second", "What one pair of nodes may send through this one.")]

# Streams and their queues.
AppHeartbeatIntervalS = Annotated[
    float, bounds(15, 0.1, _HOUR_S, "s", "A stream silent for this long sends a heartbeat; three silent intervals end it.")
]
AppTransport = Annotated[
    Literal["hermes", "grpc"],
    choice(
        "hermes",
        "What serves apps and other nodes: a path of our own, bounded against strangers (hermes), or gRPC's library, for one "
        "release (grpc).",
    ),
]
AppFronts = Annotated[
    int,
    bounds(
        -1,
        -1,
        8,
        "processes",
        "Processes that take apps' connections and end TLS in the node's place; 0: the node's own does. -1: none on loopback,"
        " else one less than the CPUs it may use and at least one, as far as its memory has room for them.",
    ),
]
FrontMemory = Annotated[
    int,
    bounds(
        192,
        96,
        65_536,
        "MiB",
        "Memory of one front: 80 MiB, and 40 KiB for each connection, of which it takes as many as there is room for. One that"
        " needs more is ended and started anew.",
    ),
]
ConnectTimeoutS = Annotated[float, bounds(10, 0.1, 300, "s", "Time to answer the challenge.")]
MaxSessions = Annotated[int, bounds(10_000, 1, 1_000_000, "streams", "App streams of one node at once.")]
MaxUnauthenticatedStreams = Annotated[
    int, bounds(256, 1, 100_000, "streams", "App streams that have not answered the challenge.")
]
MaxConnections = Annotated[
    int,
    bounds(
        0,
        0,
        1_000_000,
        "connections",
        "App connections of one node at once; 0: limits.max_sessions, and limits.max_unproven_connections besides.",
    ),
]
MaxUnprovenConnections = Annotated[
    int,
    bounds(
        640,
        1,
        100_000,
        "connections",
        "App connections on which nobody has proved who they are; for one more the address that has most gives up its oldest.",
    ),
]
MaxUnprovenConnectionsPerAddress = Annotated[
    int, bounds(320, 1, 100_000, "connections", "Of those one address may have; of IPv6 its /64.")
]
MaxStreamsPerConnection = Annotated[
    int, bounds(256, 1, 4096, "streams", "App streams of one connection at once; before a proof at most 16, ever.")
]
MaxInvalidBatches = Annotated[
    int,
    bounds(
        64, 1, 1_000_000, "batches", "Malformed batches, and frames or proofs that are not authentic, before a stream ends."
    ),
]
SessionQueueFrames = Annotated[
    int, bounds(8192, MAX_BATCH_FRAMES, 1_000_000, "frames", "Frames waiting for one app; a slower reader is cut off.")
]
SessionQueueBytes = Annotated[int, bounds(16 * _MIB, MAX_BATCH_BYTES, 1024 * _MIB, "bytes", "Bytes waiting for one app.")]
PeerQueueFrames = Annotated[int, bounds(65_536, MAX_BATCH_FRAMES, 10_000_000, "frames", "Frames waiting for one node.")]
PeerQueueBytes = Annotated[int, bounds(64 * _MIB, MAX_BATCH_BYTES, 4096 * _MIB, "bytes", "Bytes waiting for one node.")]

# The keystore. A forged header must not be able to ask for more of Argon2id than this.
Argon2MemoryKib = Annotated[int, bounds(65_536, 8192, 1_048_576, "KiB", "Argon2id memory for a new keystore.")]
Argon2TimeCost = Annotated[int, bounds(3, 1, 16, "passes", "Argon2id passes for a new keystore.")]
Argon2Lanes = Annotated[int, bounds(1, 1, 16, "lanes", "Argon2id lanes for a new keystore.")]
OnRollback = Annotated[
    Literal["quarantine", "exit"],
    choice("quarantine", "What follows when the keystore is an older copy: its chats must rekey, or the node exits with 77."),
]
EraseWithinS = Annotated[
    float,
    bounds(600, 4, _DAY_S, "s", "A deleted record opens to nobody at most this long after; a start counts anew."),
]
RotateIntervalS = Annotated[
    float, bounds(_DAY_S, 0, _YEAR_S, "s", "Re-seal under a fresh generation key this often; 0: only after deletions.")
]
RotateAfterDeletes = Annotated[
    int,
    bounds(256, 1, 1_000_000, "records", "Do not wait with erasing from so many deleted records on, if they are 1/16 of all."),
]
