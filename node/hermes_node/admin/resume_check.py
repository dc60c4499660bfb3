"""What a node knows of itself, held against a witness: evidence for the judge that the operator shares; pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hermes_core.keystore.witness import Comparison
from hermes_core.keystore.witness_verdict import (
    KeystoreStanding,
    ResumeEvidence,
    ResumeJudgement,
    SnapshotMatch,
    judge_resume,
)
from hermes_keystore import KeystoreMark
from hermes_proto.v2 import admin_pb2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the node knows of itself, and of the witness's snapshot: None when its keystore has no such snapshot."""

    fingerprint: str
    mark: KeystoreMark
    digest: str | None
    pruned: bool
    comparison: Comparison | None


def judge_by_witness(
    witness: admin_pb2.ResumeWitness, facts: Facts, former_fingerprints: Collection[str] = ()
) -> ResumeJudgement:
    """The gravest finding, and a sentence for people. A witness of before the identity was renewed is this node's as well."""
    renewed = witness.identity_fingerprint in former_fingerprints
    mark = KeystoreMark(witness.keystore.generation, witness.keystore.commit_counter)
    compared = facts.comparison or Comparison(0, 0, 0)
    found = ResumeEvidence(
        KeystoreStanding(facts.fingerprint, facts.mark),
        _match_snapshot(witness, facts),
        missing=compared.missing,
        lowered=compared.lowered,
    )
    return judge_resume(KeystoreStanding(facts.fingerprint if renewed else witness.identity_fingerprint, mark), found)


def _match_snapshot(witness: admin_pb2.ResumeWitness, facts: Facts) -> SnapshotMatch:
    if facts.digest is None or facts.comparison is None:
        return SnapshotMatch.PRUNED if facts.pruned else SnapshotMatch.UNKNOWN
    return SnapshotMatch.SAME if facts.digest == witness.digest else SnapshotMatch.OTHER
