"""From a witness and what the node holds now to a verdict; pure."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.keystore.witness import Comparison
from hermes_node.keystore import KeystoreMark
from hermes_proto.v1 import admin_pb2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the node knows of itself, and of the witness's snapshot: None when its keystore has no such snapshot."""

    fingerprint: str
    mark: KeystoreMark
    digest: str | None
    pruned: bool
    comparison: Comparison | None


Judgement = tuple[admin_pb2.ResumeVerdict.ValueType, str]


def judge_resume(witness: admin_pb2.ResumeWitness, facts: Facts) -> Judgement:
    """The gravest finding, and a sentence for people."""
    if witness.identity_fingerprint != facts.fingerprint:
        return admin_pb2.IDENTITY_CHANGED, "this node has another identity key than the witness names"
    if facts.mark.generation < witness.keystore.generation or facts.mark.commit_counter < witness.keystore.commit_counter:
        return admin_pb2.ROLLED_BACK, "the keystore is older than the witness"
    return _judge_snapshot(witness, facts)


def _judge_snapshot(witness: admin_pb2.ResumeWitness, facts: Facts) -> Judgement:
    if facts.digest is None or facts.comparison is None:
        if facts.pruned:
            return admin_pb2.RECORDS_MISSING, "this witness is older than those that are kept; take a new one"
        return admin_pb2.ROLLED_BACK, "the keystore does not hold the snapshot of this witness: it is another copy"
    if facts.digest != witness.digest:
        return admin_pb2.ROLLED_BACK, "the snapshot in the keystore is not the one the witness names"
    return _judge_chats(facts.comparison)


def _judge_chats(comparison: Comparison) -> Judgement:
    if comparison.missing:
        return admin_pb2.RECORDS_MISSING, f"{comparison.missing} chats are neither held nor ended"
    if comparison.lowered:
        return admin_pb2.POSITIONS_LOWERED, f"{comparison.lowered} chats are behind where they were"
    return admin_pb2.RESUMED, "every chat of the witness is accounted for"
