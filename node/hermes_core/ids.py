"""Identifiers of apps, nodes, chats, and the parse functions that are the only way in for outside bytes."""

from __future__ import annotations

import base64
import hashlib
import re
from enum import IntEnum
from typing import NewType

from hermes_core.errors import ErrorCode, ProtocolError

CHAT_ID_BYTES = 16
PUBLIC_KEY_BYTES = 32
FINGERPRINT_BYTES = 20
APP_ID_CHARS = 32
MAX_NODE_ID_CHARS = 63
MAX_EPOCH = 2**32 - 1
MAX_POSITION = 2**63 - 1
MAX_ORDER = 2**62
"""Of an offer. Half of what fits, so that whoever is told the highest has orders left above it."""

ChatId = NewType("ChatId", bytes)
AppId = NewType("AppId", str)
NodeId = NewType("NodeId", str)
Party = NewType("Party", str)
"""How a transcript names an app or a node; it commits to the public key."""

_APP_ID = re.compile(r"[a-z2-7]{32}\Z")
_NODE_NAME = rf"[a-z0-9]([a-z0-9-]{{0,{MAX_NODE_ID_CHARS - 2}}}[a-z0-9])?"
_NODE_ID = re.compile(rf"{_NODE_NAME}\Z")
_NODE_PARTY = re.compile(rf"node:{_NODE_NAME}:[a-z2-7]{{32}}\Z")


class ChannelKind(IntEnum):
    """The three kinds of secret channel."""

    END_TO_END = 1
    LEG = 2
    TIELINE = 3


class Role(IntEnum):
    """Who sent the offer of an epoch; also the direction byte of the frames that side sends."""

    INITIATOR = 0
    RESPONDER = 1

    @property
    def peer(self) -> Role:
        return Role(1 - self)


def parse_app_id(text: str) -> AppId:
    """Raise INVALID_FRAME unless `text` is 32 characters of lowercase base32."""
    if not _APP_ID.match(text):
        raise ProtocolError(ErrorCode.INVALID_FRAME, "app_id must be 32 characters of lowercase base32")
    return AppId(text)


def parse_node_id(text: str) -> NodeId:
    """Raise INVALID_FRAME unless `text` is a DNS label."""
    if not _NODE_ID.match(text):
        raise ProtocolError(ErrorCode.INVALID_FRAME, "node_id must be a DNS label of at most 63 characters")
    return NodeId(text)


def parse_node_party(text: str) -> Party:
    """Raise INVALID_FRAME unless `text` is the name of a node and the fingerprint of its key."""
    if not _NODE_PARTY.match(text):
        raise ProtocolError(ErrorCode.INVALID_FRAME, "this is no party of a node")
    return Party(text)


def node_of_party(party: Party) -> NodeId:
    """The node id in a node's party, as `parse_node_party` took it."""
    return NodeId(party.split(":")[1])


def derive_fingerprint(public_key: bytes) -> str:
    """Lowercase base32 of the first 20 bytes of SHA-256 of an Ed25519 public key (32 bytes): 32 characters."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ProtocolError(ErrorCode.INVALID_KEY, "public key must be 32 bytes")
    return base64.b32encode(hashlib.sha256(public_key).digest()[:FINGERPRINT_BYTES]).decode().lower()


def derive_app_id(public_key: bytes) -> AppId:
    """The id of the app that owns this Ed25519 public key (32 bytes)."""
    return AppId(derive_fingerprint(public_key))


def app_party(app_id: AppId) -> Party:
    return Party(f"app:{app_id}")


def node_party(node_id: NodeId, public_key: bytes) -> Party:
    return Party(f"node:{node_id}:{derive_fingerprint(public_key)}")
