"""What an app signs when it connects, as it is shown to others: who it is, to which node it went, and when."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import check_public_key, verify_signature
from hermes_core.ids import AppId, Party, derive_app_id
from hermes_core.protocol.session import AppClaim


def encode_claim(node: Party, claim: AppClaim) -> bytes:
    """The bytes that the app signs."""
    return lp(labels.CONNECT) + lp(node.encode()) + claim.app_key + u64(claim.stamp) + claim.hello_hash


def verify_claim(node: Party, claim: AppClaim) -> AppId:
    """The app that went to this node, as it signed itself; INVALID_KEY or AUTH_FAILED."""
    check_public_key(claim.app_key)
    verify_signature(claim.app_key, encode_claim(node, claim), claim.signature)
    return derive_app_id(claim.app_key)
