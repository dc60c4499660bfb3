"""Signatures of members in a world: a hash in place of Ed25519, charged like it.

Whoever knows a key could sign for it; a liar of this world does not.
"""

from __future__ import annotations

import hashlib

from hermes_core.mesh.swim.statements import Signatures
from tests.mesh.costs import Bill


class CheapSignatures(Signatures):
    """The key is public and secret at once, and the signature a hash of both."""

    __slots__ = ("_key", "bill")

    def __init__(self, key: bytes, bill: Bill) -> None:
        self._key = key
        self.bill = bill

    def sign(self, body: bytes) -> bytes:
        self.bill.signed += 1
        return make_signature(self._key, body)

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool:
        self.bill.verified += 1
        return signature == make_signature(key, body)


def make_signature(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=key).digest()
