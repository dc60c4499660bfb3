"""Judging a restarted node: what it reports now against what it, or the operator, knew before."""

from __future__ import annotations

from dataclasses import replace

from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.witness_verdict import (
    KeystoreStanding,
    ResumeEvidence,
    ResumeJudgement,
    ResumeVerdict,
    judge_resume,
)
from hermes_operator.nodes.resume_report import ResumeReport, Witness


def judge_report(report: ResumeReport, witness: Witness | None, known: KeystoreStanding | None) -> ResumeJudgement:
    """Compare a report with the node's witness and the operator's own high-water mark; either may be absent.

    The node's own verdict counts only against it: a node that lost its state cannot vouch for itself. Without a witness it is
    one on a mark that was handed back, if any.
    """
    found = ResumeEvidence(
        report.standing,
        rolled_back=report.rolled_back,
        corrupt=report.corrupt,
        missing=report.missing,
        lowered=report.lowered,
    )
    if report.verdict is ResumeVerdict.ROLLED_BACK and witness is None:
        return ResumeJudgement(report.verdict, report.detail or "a mark that the node signed proves a later state")
    strongest = _strongest(witness, known)
    judged = judge_resume(None if strongest is None else report.succeeds(strongest), found)
    if not judged.good:
        return judged
    if witness is not None and report.verdict is not ResumeVerdict.RESUMED:
        return ResumeJudgement(report.verdict, report.detail or "the node gave no verdict")
    renewed = strongest is not None and strongest.fingerprint != report.identity_fingerprint
    return replace(judged, detail=_describe(report, witness) + ("; its identity was renewed" if renewed else ""))


def _strongest(witness: Witness | None, known: KeystoreStanding | None) -> KeystoreStanding | None:
    """The higher of the two, number by number; where they name different identities, the witness, which is newer."""
    if witness is None:
        return known
    seen = witness.standing
    if known is None or known.fingerprint != seen.fingerprint:
        return seen
    generation = max(seen.mark.generation, known.mark.generation)
    return replace(seen, mark=KeystoreMark(generation, max(seen.mark.commit_counter, known.mark.commit_counter)))


def _describe(report: ResumeReport, witness: Witness | None) -> str:
    held = f" of {witness.live_chats} in the witness" if witness is not None else ""
    closed = f", {report.closed_since} ended since" if report.closed_since else ""
    moved = f", {report.moved_since} moved since" if report.moved_since else ""
    return (
        f"{report.resumed} chats resumed{held}{closed}{moved}; keystore generation {report.generation}, "
        f"commit counter {report.commit_counter}"
    )
