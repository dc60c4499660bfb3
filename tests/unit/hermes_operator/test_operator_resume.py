"""Judging restarted nodes, and what is remembered of each."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.witness_verdict import KeystoreStanding, ResumeVerdict
from hermes_operator.nodes.members import MemberRecord, parse_members, record_report, refresh_member, render_members
from hermes_operator.nodes.resume_judgement import judge_report
from tests.unit.hermes_operator.operator_samples import pod_of, report_of, witness_of

KNOWN = KeystoreStanding("fp-demo-2", KeystoreMark(4, 100))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "RESUMED"),
        ({"generation": 5}, "RESUMED"),
        ({"closed_since": 2, "resumed": 5}, "RESUMED"),
        ({"expired": 2}, "RESUMED"),
        ({"identity_fingerprint": "fp-other"}, "IDENTITY_CHANGED"),
        ({"generation": 3}, "ROLLED_BACK"),
        ({"commit_counter": 99}, "ROLLED_BACK"),
        ({"generation": 5, "commit_counter": 99}, "ROLLED_BACK"),
        ({"rolled_back": 1}, "ROLLED_BACK"),
        ({"corrupt": 1}, "ROLLED_BACK"),
        ({"missing": 1}, "RECORDS_MISSING"),
        ({"lowered": 1}, "POSITIONS_LOWERED"),
    ],
)
def test_judgement_with_a_witness_and_with_a_mark_alone(changes: dict[str, Any], verdict: str) -> None:
    """A node that says RESUMED cannot vouch for itself against what is known."""
    report = report_of(**changes)
    assert judge_report(report, witness_of(), KNOWN).verdict.name == verdict
    assert judge_report(report, None, KNOWN).verdict.name == verdict
    assert judge_report(report, witness_of(), None).verdict.name == verdict


def test_a_renewed_identity_is_the_same_nodes_and_is_remembered() -> None:
    """As both keys signed it (hermes_operator.nodes.client); of another node it says nothing."""
    report = report_of(identity_fingerprint="fp-new", former_fingerprints=frozenset({"fp-demo-2"}))
    for judged in (judge_report(report, witness_of(), KNOWN), judge_report(report, None, KNOWN)):
        assert judged.good
        assert "its identity was renewed" in judged.detail
    lower = report_of(identity_fingerprint="fp-new", former_fingerprints=frozenset({"fp-demo-2"}), commit_counter=99)
    assert judge_report(lower, None, KNOWN).verdict is ResumeVerdict.ROLLED_BACK
    other = report_of(identity_fingerprint="fp-new", former_fingerprints=frozenset({"fp-other"}))
    assert judge_report(other, None, KNOWN).verdict is ResumeVerdict.IDENTITY_CHANGED
    member = MemberRecord("demo-2", identity_fingerprint="fp-demo-2", generation=4, commit_counter=100)
    now = record_report(member, pod_of("demo-2"), report, judge_report(report, None, member.standing), "")
    assert now.identity_fingerprint == "fp-new"
    bad = record_report(member, pod_of("demo-2"), other, judge_report(other, None, member.standing), "")
    assert bad.identity_fingerprint == "fp-demo-2"


def test_the_nodes_own_verdict_counts_against_it() -> None:
    for verdict in set(ResumeVerdict) - {ResumeVerdict.RESUMED}:
        assert not judge_report(report_of(verdict=verdict), witness_of(), KNOWN).good
    assert judge_report(report_of(verdict=ResumeVerdict.RESUME_VERDICT_UNSPECIFIED), None, KNOWN).good


def test_the_higher_of_witness_and_mark_counts() -> None:
    assert not judge_report(report_of(), witness_of(), KeystoreStanding("fp-demo-2", KeystoreMark(4, 102))).good
    assert not judge_report(report_of(commit_counter=100), witness_of(commit_counter=101), KNOWN).good


def test_first_start_has_nothing_to_be_compared_with() -> None:
    assert judge_report(report_of(verdict=ResumeVerdict.RESUME_VERDICT_UNSPECIFIED), None, None).good


def test_members_keep_the_highest_they_ever_saw() -> None:
    pod = pod_of("demo-2")
    good = judge_report(report_of(), None, None)
    member = record_report(MemberRecord("demo-2"), pod, report_of(), good, "1.0.0")
    assert member.describes(pod)
    assert not member.describes(pod_of("demo-2", restarts=1))
    old = report_of(generation=3, commit_counter=5)
    fallen = record_report(member, pod, old, judge_report(old, None, member.standing), "1.0.0")
    assert fallen.standing == member.standing
    assert fallen.bad
    stranger = report_of(identity_fingerprint="fp-other", commit_counter=999)
    replaced = record_report(member, pod, stranger, judge_report(stranger, None, member.standing), "")
    assert (replaced.standing, replaced.version) == (member.standing, "1.0.0")
    assert refresh_member(member, stranger, "").standing == member.standing
    assert refresh_member(member, report_of(commit_counter=150, live_chats=9), "").commit_counter == 150
    assert refresh_member(member, report_of(commit_counter=50), "").commit_counter == 101


def test_members_survive_the_status() -> None:
    member = record_report(
        MemberRecord("demo-2"), pod_of("demo-2"), report_of(expired=1), judge_report(report_of(), None, None), "1"
    )
    assert parse_members({"members": render_members([member])}) == {"demo-2": member}
    assert [m["pod"] for m in render_members([MemberRecord("demo-10"), MemberRecord("demo-9")])] == ["demo-9", "demo-10"]
