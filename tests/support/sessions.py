"""Both ends of a session's handshake, for tests that stand where the client's or the mesh's shell does."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from dataclasses import dataclass, field, replace

from hermes_core.crypto.aead import NONCE_BYTES
from hermes_core.crypto.hashing import HashId
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral
from hermes_core.ids import NodeId
from hermes_core.protocol import session as handshake
from hermes_core.protocol.session import CHALLENGE_BYTES, Challenge, Connect, Connected
from hermes_core.session.connect import accept_connect, build_connect, complete_connect, verify_connect
from hermes_core.session.control import ControlReader, ControlWriter
from hermes_core.session.keys import SessionKeys, StreamKeys, derive_session_keys
from hermes_core.session.suites import OFFERED, SessionSuite

_STAMPS = itertools.count(1)


class AppEnd:
    """An app's half: `connect` answers the challenge, `complete` takes the node's answer."""

    def __init__(
        self,
        identity: Identity,
        challenge: Challenge,
        random: RandomSource = SYSTEM_RANDOM,
        mark: bytes = b"",
        stamp: int | None = None,
    ) -> None:
        self.challenge = challenge
        self._ephemeral = generate_ephemeral(random)
        nonce = generate_bytes(handshake.NONCE_BYTES, random)
        self.connect = build_connect(
            identity, challenge, nonce, self._ephemeral, next(_STAMPS) if stamp is None else stamp, mark
        )

    def complete(self, connected: Connected) -> SessionKeys:
        return complete_connect(self.challenge, self._ephemeral, self.connect, connected)


class NodeEnd:
    """A node's half: it asks with `challenge`, `accept` takes the app in."""

    def __init__(self, node_id: NodeId, identity: Identity, random: RandomSource = SYSTEM_RANDOM) -> None:
        self._identity = identity
        self._ephemeral: EphemeralKey = generate_ephemeral(random)
        nonce = generate_bytes(CHALLENGE_BYTES, random)
        self.challenge = Challenge(node_id, identity.public_key, nonce, self._ephemeral.public, OFFERED)

    def accept(self, connect: Connect, settings: Connected | None = None) -> tuple[Connected, SessionKeys]:
        """The answer with these settings; raises what verify_connect and accept_connect do."""
        app_id = verify_connect(self.challenge, connect)
        settings = replace(settings, app_id=app_id) if settings else Connected(app_id, 5000, 70_000, 256)
        return accept_connect(self._identity, self.challenge, self._ephemeral, connect, settings)


@dataclass
class ScriptedMarks:
    """A node's marks where there is no keystore: `own` for every app, and `proofs` prove that there was a rollback."""

    own: bytes = b""
    proofs: set[bytes] = field(default_factory=set)

    def current(self) -> bytes:
        return self.own

    def proves_rollback(self, mark: bytes) -> bool:
        return mark in self.proofs


def make_session_keys() -> tuple[SessionKeys, SessionKeys]:
    """Who dialled, and who accepted."""
    secret, transcript = secrets.token_bytes(32), secrets.token_bytes(32)
    first, second = (
        derive_session_keys(SessionSuite.X25519_SHA256, SecretBytes.take(bytearray(secret)), transcript, dialled=dialled)
        for dialled in (True, False)
    )
    return first, second


def make_control_pair(seed: bytes | None = None) -> tuple[ControlWriter, ControlReader]:
    """The two ends of one direction; the same from the same seed."""
    key = SecretBytes.take(bytearray(secrets.token_bytes(32) if seed is None else hashlib.sha256(seed).digest()))
    return ControlWriter(HashId.SHA256, key.copy()), ControlReader(HashId.SHA256, key)


def make_stream_keys(binding: bytes, *, dialled: bool) -> StreamKeys:
    """What one end of a stream with this binding is given, where no handshake is made."""
    nonces = tuple(hashlib.sha256(binding + purpose).digest()[:NONCE_BYTES] for purpose in (b"a2n", b"n2a"))
    return StreamKeys(binding, *(nonces if dialled else reversed(nonces)))
