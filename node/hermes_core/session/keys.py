"""What a session's secret gives: the binding of claims, the nonces of hop frames, the keys of control tags."""

from __future__ import annotations

from typing import Final, NamedTuple

from hermes_core.crypto import labels
from hermes_core.crypto.aead import NONCE_BYTES
from hermes_core.crypto.encoding import lp
from hermes_core.crypto.hashing import DIGEST_BYTES, hash_bytes
from hermes_core.crypto.hkdf import expand, extract
from hermes_core.crypto.secret import SecretBytes
from hermes_core.session.control import ControlReader, ControlWriter
from hermes_core.session.suites import HASH, SessionSuite

BINDING_BYTES: Final = 32


class StreamKeys(NamedTuple):
    """What chats are given of a stream's keys: `binding` 32 bytes, `send_nonce` and `receive_nonce` 12 bytes."""

    binding: bytes
    send_nonce: bytes
    receive_nonce: bytes


class SessionKeys:
    """One end's keys of one stream. Each key is wiped by its one user when the stream ends."""

    __slots__ = ("reader", "stream", "writer")

    def __init__(self, stream: StreamKeys, writer: ControlWriter, reader: ControlReader) -> None:
        self.stream = stream
        self.writer = writer
        self.reader = reader

    def wipe(self) -> None:
        self.writer.wipe()
        self.reader.wipe()


def derive_session_keys(suite: SessionSuite, shared: SecretBytes, transcript: bytes, *, dialled: bool) -> SessionKeys:
    """The keys of one end; `dialled`: ours is the app's, or the dialling node's. `shared` (32 bytes) is wiped.

    docs/reference/protocol.md, Connect.
    """
    hash_id = HASH[suite]
    prk = extract(hash_id, hash_bytes(hash_id, labels.SESSION), shared)
    shared.wipe()

    def derive(purpose: bytes, length: int) -> SecretBytes:
        return expand(hash_id, prk, lp(labels.SESSION_KEYS) + lp(transcript) + lp(purpose), length)

    def derive_open(purpose: bytes, length: int) -> bytes:
        """Bytes that are no key: they cannot open or make anything by themselves."""
        derived = derive(purpose, length)
        value = bytes(derived.buffer)
        derived.wipe()
        return value

    try:
        macs = [derive(purpose, DIGEST_BYTES[hash_id]) for purpose in (labels.PURPOSE_A2N_MAC, labels.PURPOSE_N2A_MAC)]
        nonces = [derive_open(purpose, NONCE_BYTES) for purpose in (labels.PURPOSE_A2N_NONCE, labels.PURPOSE_N2A_NONCE)]
        binding = derive_open(labels.PURPOSE_BINDING, BINDING_BYTES)
    finally:
        prk.wipe()
    ours, theirs = (0, 1) if dialled else (1, 0)
    stream = StreamKeys(binding, nonces[ours], nonces[theirs])
    return SessionKeys(stream, ControlWriter(hash_id, macs[ours]), ControlReader(hash_id, macs[theirs]))
