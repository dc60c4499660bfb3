"""/resume: take a witness before a restart, report after it, and compare the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.renewal import list_former_keys
from hermes_core.ids import derive_fingerprint
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import encode_mark
from hermes_core.keystore.witness_codec import Snapshot
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_keystore import Keystore, KeystoreMark
from hermes_node.admin.bodies import read_handed_back, read_witness_id
from hermes_node.admin.resume_check import Facts, judge_by_witness
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.openings import OwnOpenings
from hermes_node.chats.store import ChatStore
from hermes_node.keystore.witness import (
    UnknownWitnessError,
    build_snapshot,
    compare_snapshot,
    read_closed_values,
    read_snapshot,
    take_witness,
)
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.interface import Mesh
from hermes_node.metrics.keystore_series import KeystoreMetrics
from hermes_node.metrics.labels import RollbackKind
from hermes_proto.v2 import admin_pb2

_ON_MARKS: Final = {
    MarkVerdict.IGNORED: "the mark proves nothing: it is another node's, too old, or was judged before",
    MarkVerdict.FINE: "this keystore has been where the mark is",
    MarkVerdict.ROLLED_BACK: "the mark is of a later state of this keystore: every chat must be rekeyed",
}


@dataclass(frozen=True, slots=True)
class RestoredCounts:
    """What the start found: chats in memory, and authentic records that are not well formed."""

    resumed: int
    corrupt: int


@dataclass(frozen=True, slots=True)
class ResumeAnswers:
    """`count_expired`: chats that ended by time since the start."""

    node_id: str
    fingerprint: str
    renewals: bytes
    chats: ChatDriver
    store: ChatStore
    restored: RestoredCounts
    count_expired: Callable[[], int]
    mesh: Mesh
    openings: OwnOpenings
    random: RandomSource
    log: EventLog
    metrics: KeystoreMetrics

    async def take_witness(self) -> admin_pb2.ResumeWitness:
        await self.openings.let_marks_out()
        async with self.chats.turn() as machine:
            # No pass between the snapshot and its commit: the mark that is returned stands for exactly this state.
            snapshot = build_snapshot(machine.describe())
            taken = await self.store.run(lambda keystore: take_witness(keystore, snapshot, self.random))
            self.store.note_ended_with(await self.store.run(read_closed_values))
        self.log.info("resume_witness_taken", chats=taken.chats)
        return admin_pb2.ResumeWitness(
            node_id=self.node_id,
            identity_fingerprint=self.fingerprint,
            keystore=_show_mark(taken.mark),
            live_chats=taken.chats,
            witness_id=taken.witness_id.hex(),
            digest=taken.digest.hex(),
            mark=encode_mark(self.openings.current_mark()),
        )

    async def report(self) -> admin_pb2.ResumeReport:
        await self.openings.let_marks_out()
        async with self.chats.turn() as machine:
            return self._report(machine.live_chats())

    async def check(self, witness: admin_pb2.ResumeWitness) -> admin_pb2.ResumeReport:
        """Compare with a witness; the chats do what the verdict asks of them."""
        self._require_own(witness.node_id)
        await self.openings.let_marks_out()
        witness_id, mark = read_witness_id(witness), read_handed_back(witness.mark)
        async with self.chats.turn() as machine:
            now = build_snapshot(machine.describe())
            live = machine.live_chats()
            facts = await self.store.run(lambda keystore: _gather(keystore, witness_id, now, self.fingerprint))
        former = {derive_fingerprint(key) for key in list_former_keys(self.renewals)}
        judged = judge_by_witness(witness, facts, former)
        report = self._report(live)
        report.verdict, report.detail = admin_pb2.ResumeVerdict.Value(judged.verdict.name), judged.detail
        if facts.comparison is not None:
            report.closed_since, report.moved_since = facts.comparison.closed_since, facts.comparison.moved_since
            report.missing, report.lowered = facts.comparison.missing, facts.comparison.lowered
        elif judged.verdict is ResumeVerdict.RECORDS_MISSING:
            report.missing = witness.live_chats
        self.chats.take_verdict(judged.verdict)
        await self.chats.flush()
        if judged.verdict is ResumeVerdict.ROLLED_BACK:
            report.rolled_back = len(now)
            self.log.error("rollback_detected", reason=judged.detail)
            self.metrics.count_rollback(RollbackKind.WITNESS)
        if mark is not None and await self.openings.take_mark(mark) is MarkVerdict.ROLLED_BACK:
            _tell_rolled_back(report, len(now))
        if mark is not None and not self.openings.rollback.ends_node:
            self.mesh.take_operator_answer(witness.unix_ms)
        self.log.info("resume_checked", verdict=judged.verdict.name, reason=judged.detail)
        return report

    async def take_mark(self, held: admin_pb2.HandedBack) -> admin_pb2.ResumeReport:
        """What the operator holds of this node. Its word alone proves nothing: only what this node signed does."""
        self._require_own(held.node_id)
        mark = read_handed_back(held.mark)
        verdict = MarkVerdict.IGNORED if mark is None else await self.openings.take_mark(mark)
        if not self.openings.rollback.ends_node:
            self.mesh.take_operator_answer(held.unix_ms)
        report = await self.report()
        report.verdict, report.detail = admin_pb2.RESUMED, "" if mark is None else _ON_MARKS[verdict]
        if verdict is MarkVerdict.ROLLED_BACK:
            _tell_rolled_back(report, report.live_chats)
        self.log.info("mark_judged", verdict=verdict.name.lower())
        return report

    def _require_own(self, node_id: str) -> None:
        if node_id != self.node_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "this is of another node")

    def _report(self, live: int) -> admin_pb2.ResumeReport:
        mark = self.openings.current_mark()
        return admin_pb2.ResumeReport(
            node_id=self.node_id,
            identity_fingerprint=self.fingerprint,
            keystore=_show_mark(self.store.mark),
            live_chats=live,
            resumed=self.restored.resumed,
            expired=self.count_expired(),
            corrupt=self.restored.corrupt,
            mark=encode_mark(mark),
            open_id=mark.open_id.hex(),
            opening=self.mesh.opening.name.lower(),
            renewals=self.renewals,
        )


def _tell_rolled_back(report: admin_pb2.ResumeReport, chats: int) -> None:
    """A mark proved it: none of the chats that are held goes on as it was, whatever else was found."""
    report.verdict, report.rolled_back = admin_pb2.ROLLED_BACK, chats
    report.detail = _ON_MARKS[MarkVerdict.ROLLED_BACK]


def _gather(keystore: Keystore, witness_id: bytes, now: Snapshot, fingerprint: str) -> Facts:
    try:
        before = read_snapshot(keystore, witness_id)
    except UnknownWitnessError as error:
        return Facts(fingerprint, keystore.mark, None, error.pruned, None)
    return Facts(
        fingerprint, keystore.mark, before.digest.hex(), pruned=False, comparison=compare_snapshot(keystore, before, now)
    )


def _show_mark(mark: KeystoreMark) -> admin_pb2.KeystoreMark:
    return admin_pb2.KeystoreMark(generation=mark.generation, commit_counter=mark.commit_counter)
