"""From the secrets of X25519 and ML-KEM-768 to the four keys of an epoch (docs/reference/protocol.md, Key schedule)."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto import hkdf, labels
from hermes_core.crypto.encoding import lp
from hermes_core.crypto.hashing import hash_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.values import dataclass

KEY_BYTES: Final = 32


@dataclass(slots=True)
class EpochKeys:
    """Each 32 bytes: the chain keys of both directions, the key of tags, and the key mixed into the next epoch."""

    suite: Suite
    transcript_hash: bytes
    i2r: SecretBytes
    r2i: SecretBytes
    mac: SecretBytes
    ratchet: SecretBytes

    def wipe(self) -> None:
        for secret in (self.i2r, self.r2i, self.mac, self.ratchet):
            secret.wipe()


def derive_epoch_keys(
    suite: Suite,
    shared: SecretBytes,
    encapsulated: SecretBytes | None,
    transcript_hash: bytes,
    previous_ratchet: SecretBytes | None,
) -> EpochKeys:
    """Derive an epoch's keys; `shared` and `encapsulated` are wiped. `previous_ratchet` is None in epoch 1.

    `shared`: X25519's secret, `encapsulated`: ML-KEM-768's, None unless the suite is hybrid; each has 32 bytes, and who lacks
    one of them lacks the keys. Mixing the previous epoch's key in means that nobody who lacks it can forge a rekey, and the
    fresh secrets that a rekey heals what leaked before.
    """
    hash_id = suite.hash_id
    ikm = shared if encapsulated is None else SecretBytes.join(shared, encapsulated)
    salt = hash_bytes(hash_id, labels.KDF) if previous_ratchet is None else previous_ratchet.buffer
    prk = hkdf.extract(hash_id, salt, ikm)
    ikm.wipe()
    info = lp(labels.KEYS) + lp(transcript_hash)

    def derive(purpose: bytes) -> SecretBytes:
        return hkdf.expand(hash_id, prk, info + lp(purpose), KEY_BYTES)

    keys = EpochKeys(
        suite,
        transcript_hash,
        derive(labels.PURPOSE_I2R),
        derive(labels.PURPOSE_R2I),
        derive(labels.PURPOSE_MAC),
        derive(labels.PURPOSE_RATCHET),
    )
    prk.wipe()
    return keys
