"""What the operator remembers of each node in `status.members`: the keystore's high-water mark and the last resume result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.witness_verdict import KeystoreStanding, ResumeJudgement, ResumeVerdict
from hermes_operator import names
from hermes_operator.nodes.resume_report import ResumeReport
from hermes_operator.observe.observed import PodView


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """`verdict` is the name of a ResumeVerdict, perhaps of a newer operator's; empty before the node was ever asked.

    `mark`: the last that it signed while it was what it had been (hermes_operator.nodes.held_mark); empty: none is known.
    """

    pod: str
    pod_uid: str = ""
    restarts: int = 0
    identity_fingerprint: str = ""
    version: str = ""
    generation: int = 0
    commit_counter: int = 0
    live_chats: int = 0
    resumed_chats: int = 0
    lost_chats: int = 0
    verdict: str = ""
    detail: str = ""
    mark: str = ""

    @property
    def standing(self) -> KeystoreStanding | None:
        """The highest that was ever seen of it; None before it was ever asked."""
        if not self.identity_fingerprint:
            return None
        return KeystoreStanding(self.identity_fingerprint, KeystoreMark(self.generation, self.commit_counter))

    @property
    def bad(self) -> bool:
        return self.verdict not in {"", ResumeVerdict.RESUMED.name}

    def describes(self, pod: PodView) -> bool:
        """Whether the last resume result is from this start of this pod."""
        return self.pod_uid == pod.uid and self.restarts == pod.restarts


def record_report(
    member: MemberRecord, pod: PodView, report: ResumeReport, judgement: ResumeJudgement, version: str
) -> MemberRecord:
    """A judged start of a node. The mark never falls: a node that lost its state stays suspect."""
    known = member.identity_fingerprint
    return replace(
        member,
        pod_uid=pod.uid,
        restarts=pod.restarts,
        identity_fingerprint=report.identity_fingerprint if judgement.good else known or report.identity_fingerprint,
        version=version or member.version,
        generation=max(member.generation, report.generation) if judgement.good else member.generation,
        commit_counter=max(member.commit_counter, report.commit_counter) if judgement.good else member.commit_counter,
        live_chats=report.live_chats,
        resumed_chats=report.resumed,
        lost_chats=report.lost,
        verdict=judgement.verdict.name,
        detail="" if judgement.good else judgement.detail,
        mark=report.mark if judgement.good and report.mark else member.mark,
    )


def refresh_member(member: MemberRecord, report: ResumeReport, version: str) -> MemberRecord:
    """A node that did not restart since: only what grows or comes and goes."""
    same = report.identity_fingerprint == member.identity_fingerprint
    keeps = report.mark if same and report.mark and not member.bad else member.mark
    return replace(
        member,
        version=version or member.version,
        live_chats=report.live_chats,
        generation=max(member.generation, report.generation) if same else member.generation,
        commit_counter=max(member.commit_counter, report.commit_counter) if same else member.commit_counter,
        mark=keeps,
    )


def parse_members(status: Mapping[str, Any]) -> dict[str, MemberRecord]:
    return {entry["pod"]: _parse_member(entry) for entry in status.get("members") or []}


def render_members(members: Iterable[MemberRecord]) -> list[dict[str, Any]]:
    return [_render_member(member) for member in sorted(members, key=lambda m: names.pod_ordinal(m.pod))]


def _parse_member(entry: Mapping[str, Any]) -> MemberRecord:
    return MemberRecord(
        pod=entry["pod"],
        pod_uid=entry.get("podUid", ""),
        restarts=entry.get("restarts", 0),
        identity_fingerprint=entry.get("identityFingerprint", ""),
        version=entry.get("version", ""),
        generation=entry.get("keystoreGeneration", 0),
        commit_counter=entry.get("keystoreCommitCounter", 0),
        live_chats=entry.get("liveChats", 0),
        resumed_chats=entry.get("resumedChats", 0),
        lost_chats=entry.get("lostChats", 0),
        verdict=entry.get("resumeVerdict", ""),
        detail=entry.get("resumeDetail", ""),
        mark=entry.get("keystoreMark", ""),
    )


def _render_member(member: MemberRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "pod": member.pod,
        "podUid": member.pod_uid,
        "restarts": member.restarts,
        "identityFingerprint": member.identity_fingerprint,
        "version": member.version,
        "keystoreGeneration": member.generation,
        "keystoreCommitCounter": member.commit_counter,
        "liveChats": member.live_chats,
        "resumedChats": member.resumed_chats,
        "lostChats": member.lost_chats,
        "resumeVerdict": member.verdict,
        "resumeDetail": member.detail,
        "keystoreMark": member.mark,
    }
    return {key: value for key, value in entry.items() if value != ""}
