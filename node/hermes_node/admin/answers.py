"""What the admin server asks of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import derive_fingerprint
from hermes_core.keystore.resume_verdict import ResumeVerdict
from hermes_core.mesh.machine import Member
from hermes_core.mesh.messages import MemberState
from hermes_core.relay.chat import ChatDescription, SideDescription
from hermes_node.admin.resume_check import Facts, judge_by_witness
from hermes_node.keystore import Keystore, KeystoreMark
from hermes_node.keystore.witness import (
    WITNESS_ID_BYTES,
    Snapshot,
    UnknownWitnessError,
    build_snapshot,
    compare_snapshot,
    read_closed_value,
    read_snapshot,
    take_witness,
)
from hermes_node.metrics.labels import RollbackKind
from hermes_node.version import read_version
from hermes_proto.v1 import admin_pb2

if TYPE_CHECKING:
    from hermes_node.chats.driver import ChatDriver
    from hermes_node.chats.store import ChatStore
    from hermes_node.lifecycle.node import Node

MAX_SHOWN_CHATS: Final = 1000


class NodeAdmin:
    """Reads the node's parts; until the chats are restored everything but health answers KEYSTORE_SEALED."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def why_not_ready(self) -> list[str]:
        return self._node.readiness.reasons()

    def render_metrics(self, accept: str) -> tuple[bytes, str]:
        return self._node.metrics.exposition(accept)

    async def list_members(self) -> admin_pb2.MeshMembers:
        node = self._node
        self._parts()
        own = admin_pb2.MeshMembers.Entry(
            node_id=node.config.node.id,
            state=MemberState.ALIVE.name.lower(),
            identity_fingerprint=self._fingerprint(),
            version=read_version(),
            apps=len(node.sessions),
            self=True,
        )
        entries = [own]
        if node.mesh is not None:
            descriptor = node.mesh.membership.descriptor
            own.address, own.incarnation = descriptor.address, descriptor.incarnation
            entries += [_show_member(member) for member in node.mesh.membership.members.values()]
        return admin_pb2.MeshMembers(members=sorted(entries, key=lambda entry: entry.node_id))

    async def list_ratchets(self) -> admin_pb2.Ratchets:
        chats, _ = self._parts()
        now = self._node.clock.now()
        async with chats.turn() as machine:
            descriptions = list(machine.describe())
        shown = [_show_chat(chat, now) for chat in descriptions[:MAX_SHOWN_CHATS]]
        return admin_pb2.Ratchets(chats=shown, total=len(descriptions))

    async def take_witness(self) -> admin_pb2.ResumeWitness:
        chats, store = self._parts()
        async with chats.turn() as machine:
            # No pass between the snapshot and its commit: the mark that is returned stands for exactly this state.
            snapshot = build_snapshot(machine.describe())
            taken = await store.run(lambda keystore: take_witness(keystore, snapshot))
            store.closed_value = await store.run(read_closed_value)
        self._node.log.info("resume_witness_taken", chats=taken.chats)
        return admin_pb2.ResumeWitness(
            node_id=self._node.config.node.id,
            identity_fingerprint=self._fingerprint(),
            keystore=_show_mark(taken.mark),
            live_chats=taken.chats,
            witness_id=taken.witness_id.hex(),
            digest=taken.digest.hex(),
        )

    async def report_resume(self) -> admin_pb2.ResumeReport:
        chats, _ = self._parts()
        async with chats.turn() as machine:
            return self._report(machine.live_chats())

    async def check_resume(self, witness: admin_pb2.ResumeWitness) -> admin_pb2.ResumeReport:
        """Compare with a witness; a rollback quarantines every chat."""
        chats, store = self._parts()
        witness_id = self._parse_witness(witness)
        async with chats.turn() as machine:
            now = build_snapshot(machine.describe())
            live = machine.live_chats()
            facts = await store.run(lambda keystore: _gather(keystore, witness_id, now, self._fingerprint()))
        judged = judge_by_witness(witness, facts)
        report = self._report(live)
        report.verdict, report.detail = admin_pb2.ResumeVerdict.Value(judged.verdict.name), judged.detail
        if facts.comparison is not None:
            report.closed_since = facts.comparison.closed_since
            report.missing, report.lowered = facts.comparison.missing, facts.comparison.lowered
        elif judged.verdict is ResumeVerdict.RECORDS_MISSING:
            report.missing = witness.live_chats
        if judged.verdict is ResumeVerdict.ROLLED_BACK:
            report.rolled_back = len(now)
            self._node.log.error("rollback_detected", reason=judged.detail)
            self._node.metrics.keystore.count_rollback(RollbackKind.WITNESS)
            chats.quarantine_all()
            await chats.flush()
        self._node.log.info("resume_checked", verdict=judged.verdict.name, reason=judged.detail)
        return report

    async def drain(self) -> admin_pb2.DrainStatus:
        self._node.begin_drain()
        return admin_pb2.DrainStatus(draining=True, sessions=len(self._node.sessions))

    async def wipe(self) -> admin_pb2.DrainStatus:
        self._parts()
        await self._node.wipe()
        return admin_pb2.DrainStatus(draining=True, sessions=len(self._node.sessions))

    def _parts(self) -> tuple[ChatDriver, ChatStore]:
        node = self._node
        if node.chats is None or node.store is None:
            state = "was wiped" if node.readiness.wiped else "is sealed"
            raise ProtocolError(ErrorCode.KEYSTORE_SEALED, f"the keystore {state}")
        return node.chats, node.store

    def _fingerprint(self) -> str:
        stored = self._node.stored
        return "" if stored is None else derive_fingerprint(stored.identity.public_key)

    def _parse_witness(self, witness: admin_pb2.ResumeWitness) -> bytes:
        if witness.node_id != self._node.config.node.id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "this witness is of another node")
        try:
            witness_id = bytes.fromhex(witness.witness_id)
        except ValueError:
            witness_id = b""
        if len(witness_id) != WITNESS_ID_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"witness_id must be {2 * WITNESS_ID_BYTES} hex digits")
        return witness_id

    def _report(self, live: int) -> admin_pb2.ResumeReport:
        node = self._node
        _, store = self._parts()
        return admin_pb2.ResumeReport(
            node_id=node.config.node.id,
            identity_fingerprint=self._fingerprint(),
            keystore=_show_mark(store.mark),
            live_chats=live,
            resumed=node.restored_chats,
            expired=node.observer.expired,
            corrupt=node.corrupt_records,
        )


def _gather(keystore: Keystore, witness_id: bytes, now: Snapshot, fingerprint: str) -> Facts:
    try:
        before, digest = read_snapshot(keystore, witness_id)
    except UnknownWitnessError as error:
        return Facts(fingerprint, keystore.mark, None, error.pruned, None)
    return Facts(fingerprint, keystore.mark, digest.hex(), pruned=False, comparison=compare_snapshot(keystore, before, now))


def _show_member(member: Member) -> admin_pb2.MeshMembers.Entry:
    return admin_pb2.MeshMembers.Entry(
        node_id=member.descriptor.node_id,
        address=member.descriptor.address,
        state=member.state.name.lower(),
        incarnation=member.incarnation,
        identity_fingerprint=derive_fingerprint(member.descriptor.node_key),
        version=member.descriptor.version,
        apps=0 if member.directory is None else len(member.directory.app_ids),
    )


def _show_mark(mark: KeystoreMark) -> admin_pb2.KeystoreMark:
    return admin_pb2.KeystoreMark(generation=mark.generation, commit_counter=mark.commit_counter)


def _show_chat(chat: ChatDescription, now: float) -> admin_pb2.Ratchets.Chat:
    return admin_pb2.Ratchets.Chat(
        chat_ref=chat.chat_id.hex()[:8],
        state=chat.state.name.lower(),
        channels=[_show_side(side, now) for side in chat.sides],
    )


def _show_side(side: SideDescription, now: float) -> admin_pb2.Ratchets.Channel:
    return admin_pb2.Ratchets.Channel(
        kind=side.kind.name.lower(),
        epoch=side.epoch,
        pending_epoch=side.pending_epoch,
        send=admin_pb2.Ratchets.Direction(position=side.send_next, reserved=side.send_reserved),
        recv=admin_pb2.Ratchets.Direction(position=side.recv_next, reserved=side.recv_reserved),
        up=side.up,
        epoch_age_seconds=max(0.0, now - side.epoch_started_at_s),
    )
