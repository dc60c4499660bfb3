"""The proof that opens an app's stream: a signature over the node's challenge (docs/reference/protocol.md, Connect)."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp
from hermes_core.crypto.signing import Identity, check_public_key, verify_signature
from hermes_core.ids import AppId, derive_app_id, node_party
from hermes_core.protocol.session import Challenge, Connect


def _encode_connect(challenge: Challenge, nonce: bytes, app_key: bytes) -> bytes:
    party = node_party(challenge.node_id, challenge.node_key)
    return b"".join((lp(labels.CONNECT), challenge.challenge, nonce, lp(party.encode()), app_key))


def build_connect(identity: Identity, challenge: Challenge, nonce: bytes) -> Connect:
    """Answer a challenge as the app that owns `identity`; `nonce` is 32 fresh random bytes."""
    signature = identity.sign(_encode_connect(challenge, nonce, identity.public_key))
    return Connect(identity.public_key, nonce, signature)


def verify_connect(challenge: Challenge, connect: Connect) -> AppId:
    """The app that answered our challenge; raise INVALID_KEY or AUTH_FAILED. The caller accepts one answer a challenge."""
    check_public_key(connect.app_key)
    verify_signature(connect.app_key, _encode_connect(challenge, connect.nonce, connect.app_key), connect.signature)
    return derive_app_id(connect.app_key)
