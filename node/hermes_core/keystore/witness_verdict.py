"""Whether a node that restarted is what it was: the verdicts, and the one judge that nodes and operator share; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final

from hermes_core.keystore.state import KeystoreMark


class ResumeVerdict(IntEnum):
    """Names and numbers are those of admin.proto; a test holds them together."""

    RESUME_VERDICT_UNSPECIFIED = 0
    RESUMED = 1
    RECORDS_MISSING = 2
    POSITIONS_LOWERED = 3
    ROLLED_BACK = 4
    IDENTITY_CHANGED = 5


class SnapshotMatch(Enum):
    """How the snapshot in the keystore compares with the one that a witness names."""

    NOT_COMPARED = auto()  # only the node itself can
    SAME = auto()
    OTHER = auto()
    UNKNOWN = auto()
    PRUNED = auto()  # unknown, and perhaps only too old to be kept


@dataclass(frozen=True, slots=True)
class KeystoreStanding:
    """Whose keystore it is, by the fingerprint of its identity key, and where it stands."""

    fingerprint: str
    mark: KeystoreMark


@dataclass(frozen=True, slots=True)
class ResumeEvidence:
    """What is known of a node after its start; the numbers count chats or records."""

    standing: KeystoreStanding
    snapshot: SnapshotMatch = SnapshotMatch.NOT_COMPARED
    rolled_back: int = 0
    corrupt: int = 0
    missing: int = 0
    lowered: int = 0


@dataclass(frozen=True, slots=True)
class ResumeJudgement:
    """`detail` says what differs, for people."""

    verdict: ResumeVerdict
    detail: str

    @property
    def good(self) -> bool:
        return self.verdict is ResumeVerdict.RESUMED


_SNAPSHOT_FINDINGS: Final = {
    SnapshotMatch.OTHER: ResumeJudgement(
        ResumeVerdict.ROLLED_BACK, "the snapshot in the keystore is not the one the witness names"
    ),
    SnapshotMatch.UNKNOWN: ResumeJudgement(
        ResumeVerdict.ROLLED_BACK, "the keystore does not hold the snapshot of this witness: it is another copy"
    ),
    SnapshotMatch.PRUNED: ResumeJudgement(
        ResumeVerdict.RECORDS_MISSING, "this witness is older than those that are kept; take a new one"
    ),
}


def judge_resume(known: KeystoreStanding | None, found: ResumeEvidence) -> ResumeJudgement:
    """The gravest finding. `known`: the highest that was ever seen of this node, None before it was ever asked."""
    return (
        (_judge_standing(known, found.standing) if known is not None else None)
        or _SNAPSHOT_FINDINGS.get(found.snapshot)
        or _judge_chats(found)
        or ResumeJudgement(ResumeVerdict.RESUMED, "every chat is accounted for")
    )


def _judge_standing(known: KeystoreStanding, now: KeystoreStanding) -> ResumeJudgement | None:
    if now.fingerprint != known.fingerprint:
        changed = f"identity key was {known.fingerprint}, is {now.fingerprint}: the keystore was lost or replaced"
        return ResumeJudgement(ResumeVerdict.IDENTITY_CHANGED, changed)
    if now.mark.generation < known.mark.generation or now.mark.commit_counter < known.mark.commit_counter:
        was_at, is_at = ((mark.generation, mark.commit_counter) for mark in (known.mark, now.mark))
        older = f"keystore generation and commit counter were {was_at}, are {is_at}"
        return ResumeJudgement(ResumeVerdict.ROLLED_BACK, older)
    return None


def _judge_chats(found: ResumeEvidence) -> ResumeJudgement | None:
    if found.rolled_back or found.corrupt:
        damaged = f"{found.rolled_back} chats rolled back, {found.corrupt} records corrupt"
        return ResumeJudgement(ResumeVerdict.ROLLED_BACK, damaged)
    if found.missing:
        return ResumeJudgement(ResumeVerdict.RECORDS_MISSING, f"{found.missing} chats are neither held nor ended")
    if found.lowered:
        return ResumeJudgement(ResumeVerdict.POSITIONS_LOWERED, f"{found.lowered} chats stand at lower positions than before")
    return None
