"""Claims of apps, and what nodes say of them, for tests that stand where the mesh or a client does."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId, Party
from hermes_core.mesh.messages import DirectoryEntry
from hermes_core.protocol.session import AppClaim

_VERSIONS = itertools.count(1)


def make_claim(app: Identity, home: Party, stamp: int) -> AppClaim:
    """What the app signed when it connected to this node."""
    hello = hashlib.sha256(app.public_key + home.encode() + u64(stamp)).digest()
    signed = lp(labels.CONNECT) + lp(home.encode()) + app.public_key + u64(stamp) + hello
    return AppClaim(app.public_key, stamp, hello, app.sign(signed))


def make_entry(home: Party, apps: Iterable[Identity], stamp: int) -> DirectoryEntry:
    """Everybody who is connected to a node, all with one stamp."""
    return list_claims(home, [make_claim(app, home, stamp) for app in apps])


def list_claims(home: Party, claims: Iterable[AppClaim]) -> DirectoryEntry:
    """Everybody who is connected to a node, as it says itself; later entries overtake earlier ones."""
    return DirectoryEntry(NodeId(home.split(":")[1]), 1, next(_VERSIONS), tuple(claims))
