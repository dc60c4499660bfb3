"""Every value a label of a node's metrics can have. No label names a chat, an app, a key or a message."""

from __future__ import annotations

from enum import StrEnum


class ChatScope(StrEnum):
    """LOCAL: both apps are at home on this node; TIELINE: the other one is at home on another node."""

    LOCAL = "local"
    TIELINE = "tieline"


class ChannelLabel(StrEnum):
    """The hop channels a node holds; it has no part in the end-to-end one."""

    LEG = "leg"
    TIELINE = "tieline"


class SessionResult(StrEnum):
    """What became of an app's stream. REPLACED and TOO_SLOW speak of sessions that had been accepted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REPLACED = "replaced"
    TOO_SLOW = "too_slow"


class HandshakeRole(StrEnum):
    """INITIATOR: the offer came from an app at home here; RESPONDER: from another node."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


class HandshakeResult(StrEnum):
    """FAILED: Hermes could not do it. REFUSED: the apps' doing (offline, rejected, malformed, throttled)."""

    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"


class MessageDirection(StrEnum):
    """FORWARD: messages on their way to the other app; BACKWARD: acknowledgements on their way back."""

    FORWARD = "forward"
    BACKWARD = "backward"


class MessageResult(StrEnum):
    """DROPPED: the onward path was down and the sender sends it again. What is refused counts in hermes_router_errors_total."""

    RELAYED = "relayed"
    DROPPED = "dropped"


class RatchetFailure(StrEnum):
    AUTHENTICATION = "authentication"
    DESYNC = "desync"
    KEY_MISMATCH = "key_mismatch"
    FAILED = "failed"


class ReplayKind(StrEnum):
    """What was played again. A Connect played again has a wrong signature, like any other forgery: AUTH_FAILED."""

    FRAME = "frame"
    KEY = "key"


class RekeyTrigger(StrEnum):
    """APP: an app asked for it; LIFETIME: the epoch reached its age or message limit."""

    APP = "app"
    LIFETIME = "lifetime"


class RekeyResult(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    REQUIRED = "required"


class ThrottleScope(StrEnum):
    """Which bound held somebody back."""

    CHAT = "chat"
    APP = "app"
    PEER = "peer"
    HANDSHAKE = "handshake"
    REKEY = "rekey"
    STREAM = "stream"


class ResumeResult(StrEnum):
    RESUMED = "resumed"
    DESYNC = "desync"
    ROLLBACK = "rollback"
    MISSING = "missing"
    REFUSED = "refused"


class NoticeResult(StrEnum):
    DELIVERED = "delivered"


class MoveDirection(StrEnum):
    """ARRIVED: a hop of the chat was made anew here, for an app or for another one's new home; LEFT: its app went elsewhere."""

    ARRIVED = "arrived"
    LEFT = "left"


class ExpiryReason(StrEnum):
    """IDLE: an open chat nobody used; HANDSHAKE: one that never was confirmed."""

    IDLE = "idle"
    HANDSHAKE = "handshake"


class KeystoreOperation(StrEnum):
    UNSEAL = "unseal"
    COMMIT = "commit"
    ROTATE = "rotate"
    WIPE = "wipe"


class OperationResult(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"


class TamperKind(StrEnum):
    """RECORD: a sealed record could not be read. A keystore that does not verify as a whole is not opened: its node ends."""

    RECORD = "record"


class RollbackKind(StrEnum):
    """Who proved it.

    A WITNESS outside (the operator), a PEER that saw later positions, the FLOOR beside the keystore, a MARK handed back.
    """

    WITNESS = "witness"
    PEER = "peer"
    FLOOR = "floor"
    MARK = "mark"


class MemberStateLabel(StrEnum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class LieLabel(StrEnum):
    """What only a liar, or a broken node, says: hermes_core.mesh.lies has the sentences."""

    SIGNATURE = "signature"
    TWO_SELVES = "two_selves"
    ACCUSATIONS = "accusations"


class SuspicionLabel(StrEnum):
    """MADE and HEARD begin one, by this node's own probe or another one's word; the others end it.

    CANCELLED: the member answered this node. REFUTED: it signed a later incarnation. BURIED: it is dead here.
    """

    MADE = "made"
    HEARD = "heard"
    CANCELLED = "cancelled"
    REFUTED = "refuted"
    BURIED = "buried"
    LEFT = "left"


class MeshBudget(StrEnum):
    """What one member may make this node do so often: probe another, sign an answer, take in one member's descriptors."""

    PROBE_REQUESTS = "probe_requests"
    PROBE_ANSWERS = "probe_answers"
    DESCRIPTORS = "descriptors"


class EntryRole(StrEnum):
    """OWN: of apps at home here. HELD: as a holder, for others. FOUND: by look-ups of this node."""

    OWN = "own"
    HELD = "held"
    FOUND = "found"


class KeyChange(StrEnum):
    """REPLACED: nobody vouches for it but the certificate: its volume was lost, or somebody has the name."""

    RENEWED = "renewed"
    REPLACED = "replaced"


class LinkPurpose(StrEnum):
    """CHATS: a stream that is dialled when a chat needs it."""

    MEMBERSHIP = "membership"
    CHATS = "chats"


class DialResult(StrEnum):
    """REFUSED: by one of the two, with a code. UNREACHABLE: no connection, or one that ended before both were proved."""

    CONNECTED = "connected"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"


class ProbeDirection(StrEnum):
    SENT = "sent"
    RECEIVED = "received"


class CarryRefusalLabel(StrEnum):
    """Why a stream was not passed on between two others: hermes_core.mesh.carry.places has the sentences."""

    NO_LINK = "no_link"
    FULL = "full"
    NODE_FULL = "node_full"
    TOO_OFTEN = "too_often"


class FrontConnection(StrEnum):
    """STRANGER: nobody on it has proved who they are."""

    PROVEN = "proven"
    STRANGER = "stranger"


class LinkDirection(StrEnum):
    """As the node sees it: IN comes from a front."""

    IN = "in"
    OUT = "out"


class CertificateKind(StrEnum):
    APP = "app"
    MESH = "mesh"
    MESH_CA = "mesh_ca"


NO_REASON = "none"
