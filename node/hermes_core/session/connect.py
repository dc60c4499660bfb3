"""The handshake of an app's stream: a signed Diffie-Hellman exchange in the form of ISO 9798-3.

docs/reference/protocol.md, Connect. Each side checks the other's signature before it computes anything with what it was sent.
"""

from __future__ import annotations

from dataclasses import replace

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u64
from hermes_core.crypto.hashing import HashId, hash_bytes
from hermes_core.crypto.signing import Identity, check_public_key, verify_signature
from hermes_core.crypto.x25519 import EphemeralKey
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, app_party, derive_app_id, node_party
from hermes_core.keystore.mark import parse_mark
from hermes_core.protocol.claims import encode_claim
from hermes_core.protocol.session import AppClaim, Challenge, Connect, Connected
from hermes_core.session.canonical import SETTINGS, encode_fields
from hermes_core.session.keys import SessionKeys, derive_session_keys
from hermes_core.session.suites import HASH, check_pick, choose_suite


def _encode_hello(challenge: Challenge, connect: Connect) -> bytes:
    """Everything both sides said of themselves."""
    node = node_party(challenge.node_id, challenge.node_key)
    app = app_party(derive_app_id(connect.app_key))
    node_half = lp(node.encode()) + challenge.node_key + challenge.challenge + challenge.ephemeral
    app_half = lp(app.encode()) + connect.app_key + connect.nonce + connect.ephemeral + lp(connect.mark)
    return lp(labels.SESSION) + lp(challenge.suites) + u8(connect.suite) + node_half + app_half


def _encode_connect(challenge: Challenge, connect: Connect) -> bytes:
    """What the app signs: what a directory can show to others, who get the hello's hash alone."""
    return encode_claim(node_party(challenge.node_id, challenge.node_key), build_claim(challenge, connect))


def build_claim(challenge: Challenge, connect: Connect) -> AppClaim:
    """What others are shown of a Connect."""
    hello_hash = hash_bytes(HashId.SHA256, _encode_hello(challenge, connect))
    return AppClaim(connect.app_key, connect.stamp, hello_hash, connect.signature)


def _hash_transcript(challenge: Challenge, connect: Connect, connected: Connected) -> bytes:
    hash_id = HASH[check_pick(challenge.suites, connect.suite)]
    said = _encode_hello(challenge, connect) + u64(connect.stamp) + connect.signature
    return hash_bytes(hash_id, said + lp(encode_fields(SETTINGS, connected)))


def build_connect(
    identity: Identity, challenge: Challenge, nonce: bytes, ephemeral: EphemeralKey, stamp: int, mark: bytes = b""
) -> Connect:
    """Answer a challenge as the app that owns `identity`. `nonce`: 32 fresh random bytes; `stamp`: ms, rises with each.

    `mark`: what we hold of this node, as it was signed. KEY_VERSION_MISMATCH when the node lists no suite that we know.
    """
    suite = choose_suite(challenge.suites)
    unsigned = Connect(identity.public_key, nonce, ephemeral.public, suite, stamp, b"", mark)
    return replace(unsigned, signature=identity.sign(_encode_connect(challenge, unsigned)))


def verify_connect(challenge: Challenge, connect: Connect) -> AppId:
    """The app that answered our challenge; INVALID_KEY, KEY_VERSION_MISMATCH, AUTH_FAILED. One answer a challenge."""
    check_public_key(connect.app_key)
    check_pick(challenge.suites, connect.suite)
    verify_signature(connect.app_key, _encode_connect(challenge, connect), connect.signature)
    return derive_app_id(connect.app_key)


def accept_connect(
    identity: Identity, challenge: Challenge, ephemeral: EphemeralKey, connect: Connect, settings: Connected
) -> tuple[Connected, SessionKeys]:
    """Take in the app of a verified Connect: `settings` signed, and our keys. INVALID_KEY for a point of small order."""
    suite = check_pick(challenge.suites, connect.suite)
    shared = ephemeral.exchange(connect.ephemeral)
    transcript = _hash_transcript(challenge, connect, settings)
    connected = replace(settings, signature=identity.sign(lp(labels.CONNECTED) + lp(transcript)))
    return connected, derive_session_keys(suite, shared, transcript, dialled=False)


def complete_connect(challenge: Challenge, ephemeral: EphemeralKey, connect: Connect, connected: Connected) -> SessionKeys:
    """The app's keys, once the node has shown that it is who the challenge said; the ephemeral is wiped, also on failure.

    AUTH_FAILED, INVALID_KEY: until this returned, nothing that came over the stream counts.
    """
    try:
        transcript = _hash_transcript(challenge, connect, connected)
        verify_signature(challenge.node_key, lp(labels.CONNECTED) + lp(transcript), connected.signature)
        if connected.app_id != derive_app_id(connect.app_key):
            raise ProtocolError(ErrorCode.AUTH_FAILED, "the node took us for another app", scope=ErrorScope.STREAM)
        if connected.mark and parse_mark(connected.mark).node_key != challenge.node_key:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "a mark of another node", scope=ErrorScope.STREAM)
        shared = ephemeral.exchange(challenge.ephemeral)
    finally:
        ephemeral.wipe()
    return derive_session_keys(check_pick(challenge.suites, connect.suite), shared, transcript, dialled=True)
