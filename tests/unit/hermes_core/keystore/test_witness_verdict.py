"""The one judge of restarts: its verdicts are those of admin.proto, and the gravest finding wins, whatever else was found."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.witness_verdict import (
    KeystoreStanding,
    ResumeEvidence,
    ResumeVerdict,
    SnapshotMatch,
    judge_resume,
)
from hermes_proto.v2 import admin_pb2

KNOWN = KeystoreStanding("fp", KeystoreMark(4, 100))
SAME = ResumeEvidence(KNOWN, SnapshotMatch.SAME)

# What can be found, the gravest first; of each row any may be true besides those above it.
FINDINGS: dict[str, tuple[dict[str, object], ResumeVerdict]] = {
    "identity": ({"standing": KeystoreStanding("other", KNOWN.mark)}, ResumeVerdict.IDENTITY_CHANGED),
    "generation": ({"standing": KeystoreStanding("fp", KeystoreMark(3, 101))}, ResumeVerdict.ROLLED_BACK),
    "counter": ({"standing": KeystoreStanding("fp", KeystoreMark(5, 99))}, ResumeVerdict.ROLLED_BACK),
    "other snapshot": ({"snapshot": SnapshotMatch.OTHER}, ResumeVerdict.ROLLED_BACK),
    "unknown snapshot": ({"snapshot": SnapshotMatch.UNKNOWN}, ResumeVerdict.ROLLED_BACK),
    "pruned snapshot": ({"snapshot": SnapshotMatch.PRUNED}, ResumeVerdict.RECORDS_MISSING),
    "rolled back": ({"rolled_back": 1}, ResumeVerdict.ROLLED_BACK),
    "corrupt": ({"corrupt": 1}, ResumeVerdict.ROLLED_BACK),
    "missing": ({"missing": 1}, ResumeVerdict.RECORDS_MISSING),
    "lowered": ({"lowered": 1}, ResumeVerdict.POSITIONS_LOWERED),
}
GRAVITY = list(FINDINGS)
COMBINATIONS = [found for count in (1, 2, 3) for found in itertools.combinations(GRAVITY, count)]


def test_verdicts_are_those_of_the_wire() -> None:
    assert {verdict.name: verdict.value for verdict in ResumeVerdict} == dict(admin_pb2.ResumeVerdict.items())


def test_nothing_found_is_resumed() -> None:
    assert judge_resume(KNOWN, SAME).good
    assert judge_resume(KNOWN, ResumeEvidence(KeystoreStanding("fp", KeystoreMark(5, 101)))).good


@pytest.mark.parametrize("found", COMBINATIONS)
def test_the_gravest_finding_is_the_verdict(found: tuple[str, ...]) -> None:
    evidence = SAME
    for name in reversed(found):  # of two that exclude each other, the graver one stands
        evidence = replace(evidence, **FINDINGS[name][0])  # type: ignore[arg-type]
    judged = judge_resume(KNOWN, evidence)
    assert judged.verdict is FINDINGS[found[0]][1]
    assert not judged.good
    assert judged.detail


@pytest.mark.parametrize("found", GRAVITY)
def test_without_anything_known_only_what_the_node_found_counts(found: str) -> None:
    evidence = replace(SAME, **FINDINGS[found][0])  # type: ignore[arg-type]
    assert judge_resume(None, evidence).good == (found in {"identity", "generation", "counter"})


def test_every_mismatch_of_snapshots_is_judged() -> None:
    good = {match for match in SnapshotMatch if judge_resume(KNOWN, replace(SAME, snapshot=match)).good}
    assert good == {SnapshotMatch.SAME, SnapshotMatch.NOT_COMPARED}
