"""Proofs of a delete on disk, one after the other: in tombstones of nodes, and in what apps still have to tell."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.keystore.record_reader import refuse_record
from hermes_core.ratchet.end_proof import END_TAG_BYTES, MAX_PROOFS, EndProof

_PROOF: Final = struct.Struct(f">I{END_TAG_BYTES}s")  # end-to-end epoch, tag
PROOF_BYTES: Final = _PROOF.size


def encode_proofs(proofs: tuple[EndProof, ...]) -> bytes:
    return b"".join(_PROOF.pack(proof.epoch, proof.tag) for proof in proofs)


def parse_proofs(data: bytes) -> tuple[EndProof, ...]:
    """All of `data`; KeystoreTamperedError for a part of one, or more than a delete has."""
    if len(data) % PROOF_BYTES or len(data) > MAX_PROOFS * PROOF_BYTES:
        refuse_record("proofs")
    return tuple(EndProof(*fields) for fields in _PROOF.iter_unpack(data))
