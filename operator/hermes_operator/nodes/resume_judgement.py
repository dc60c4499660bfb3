"""Judging a restarted node: what it reports now against what it, or the operator, knew before."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_operator.rollout.state import Witness

RESUMED = "RESUMED"


@dataclass(frozen=True, slots=True)
class ResumeReport:
    """What a node tells after its start (admin.proto, ResumeReport); `verdict` is its own comparison with the witness."""

    node_id: str
    identity_fingerprint: str
    generation: int
    commit_counter: int
    live_chats: int
    resumed: int = 0
    expired: int = 0
    corrupt: int = 0
    rolled_back: int = 0
    closed_since: int = 0
    missing: int = 0
    lowered: int = 0
    verdict: str = ""
    detail: str = ""

    @property
    def lost(self) -> int:
        """Chats it held on disk, or should have, and did not resume."""
        return self.expired + self.corrupt + self.rolled_back + self.missing


@dataclass(frozen=True, slots=True)
class Mark:
    """The highest that was ever seen of a node's keystore."""

    identity_fingerprint: str
    generation: int
    commit_counter: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """`verdict` is a name of ResumeVerdict; `detail` says what differs, for people."""

    verdict: str
    detail: str

    @property
    def good(self) -> bool:
        return self.verdict == RESUMED


def judge_resume(report: ResumeReport, witness: Witness | None, mark: Mark | None) -> Judgement:
    """Compare a report with the node's witness and the operator's own high-water mark; either may be absent.

    The node's own verdict counts only against it: a node that lost its state cannot vouch for itself.
    """
    worse = _judge_keystore(report, _strongest(witness, mark)) or _judge_records(report)
    if worse is not None:
        return worse
    if witness is not None and report.verdict != RESUMED:
        return Judgement(report.verdict or "RESUME_VERDICT_UNSPECIFIED", report.detail or "the node gave no verdict")
    return Judgement(RESUMED, _describe(report, witness))


def _judge_keystore(report: ResumeReport, known: Mark | None) -> Judgement | None:
    if known is None:
        return None
    if report.identity_fingerprint != known.identity_fingerprint:
        was, now = known.identity_fingerprint, report.identity_fingerprint
        return Judgement("IDENTITY_CHANGED", f"identity key was {was}, is {now}: the keystore was lost or replaced")
    if report.generation < known.generation or report.commit_counter < known.commit_counter:
        was_at, now_at = (known.generation, known.commit_counter), (report.generation, report.commit_counter)
        return Judgement("ROLLED_BACK", f"keystore generation and commit counter were {was_at}, are {now_at}")
    return None


def _judge_records(report: ResumeReport) -> Judgement | None:
    if report.rolled_back or report.corrupt:
        return Judgement("ROLLED_BACK", f"{report.rolled_back} chats rolled back, {report.corrupt} records corrupt")
    if report.missing:
        return Judgement("RECORDS_MISSING", f"{report.missing} chats are unaccounted for")
    if report.lowered:
        return Judgement("POSITIONS_LOWERED", f"{report.lowered} chats stand at lower positions than before")
    return None


def _strongest(witness: Witness | None, mark: Mark | None) -> Mark | None:
    if witness is None:
        return mark
    seen = Mark(witness.identity_fingerprint, witness.generation, witness.commit_counter)
    if mark is None or mark.identity_fingerprint != seen.identity_fingerprint:
        return seen
    return Mark(seen.identity_fingerprint, max(seen.generation, mark.generation), max(seen.commit_counter, mark.commit_counter))


def _describe(report: ResumeReport, witness: Witness | None) -> str:
    held = f" of {witness.live_chats} in the witness" if witness is not None else ""
    closed = f", {report.closed_since} ended since" if report.closed_since else ""
    return (
        f"{report.resumed} chats resumed{held}{closed}; keystore generation {report.generation}, "
        f"commit counter {report.commit_counter}"
    )
