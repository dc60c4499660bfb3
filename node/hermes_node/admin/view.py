"""What the admin server may be asked: some of it at every step of the node, the rest only while the node serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_node.admin.departure import Departure, DrainCounts
from hermes_node.admin.members import MemberAnswers
from hermes_node.admin.ratchets import RatchetAnswers
from hermes_node.admin.resume import ResumeAnswers
from hermes_proto.v2 import admin_pb2


@dataclass(frozen=True, slots=True)
class ProcessAnswers:
    """What holds at every step."""

    why_not_ready: Callable[[], list[str]]
    render_metrics: Callable[[str], tuple[bytes, str]]
    begin_drain: Callable[[Departure], DrainCounts]


class AdminView(Protocol):
    """What depends on the step; whoever owns the step replaces the view with it."""

    async def list_members(self) -> admin_pb2.MeshMembers: ...
    async def list_ratchets(self) -> admin_pb2.Ratchets: ...
    async def report_resume(self) -> admin_pb2.ResumeReport: ...
    async def check_resume(self, witness: admin_pb2.ResumeWitness) -> admin_pb2.ResumeReport: ...
    async def take_witness(self) -> admin_pb2.ResumeWitness: ...
    async def take_mark(self, held: admin_pb2.HandedBack) -> admin_pb2.ResumeReport: ...
    async def wipe(self) -> admin_pb2.DrainStatus: ...


@dataclass(frozen=True, slots=True)
class SealedView:
    """Before a node serves and after it was wiped: KEYSTORE_SEALED, with the reason that /readyz gives."""

    why_not_ready: Callable[[], list[str]]

    async def list_members(self) -> admin_pb2.MeshMembers:
        self._refuse()

    async def list_ratchets(self) -> admin_pb2.Ratchets:
        self._refuse()

    async def report_resume(self) -> admin_pb2.ResumeReport:
        self._refuse()

    async def check_resume(self, witness: admin_pb2.ResumeWitness) -> admin_pb2.ResumeReport:  # noqa: ARG002 - refused unread
        self._refuse()

    async def take_witness(self) -> admin_pb2.ResumeWitness:
        self._refuse()

    async def take_mark(self, held: admin_pb2.HandedBack) -> admin_pb2.ResumeReport:  # noqa: ARG002 - refused unread
        self._refuse()

    async def wipe(self) -> admin_pb2.DrainStatus:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ProtocolError(ErrorCode.KEYSTORE_SEALED, self.why_not_ready()[0])


@dataclass(frozen=True, slots=True)
class ServingView:
    """A node that serves. `erase` ends every chat and stream and erases the keystore; it gives the sessions that are left."""

    members: MemberAnswers
    ratchets: RatchetAnswers
    resume: ResumeAnswers
    erase: Callable[[], Awaitable[int]]

    async def list_members(self) -> admin_pb2.MeshMembers:
        return self.members.list_members()

    async def list_ratchets(self) -> admin_pb2.Ratchets:
        return await self.ratchets.list_ratchets()

    async def report_resume(self) -> admin_pb2.ResumeReport:
        return await self.resume.report()

    async def check_resume(self, witness: admin_pb2.ResumeWitness) -> admin_pb2.ResumeReport:
        return await self.resume.check(witness)

    async def take_witness(self) -> admin_pb2.ResumeWitness:
        return await self.resume.take_witness()

    async def take_mark(self, held: admin_pb2.HandedBack) -> admin_pb2.ResumeReport:
        return await self.resume.take_mark(held)

    async def wipe(self) -> admin_pb2.DrainStatus:
        return admin_pb2.DrainStatus(draining=True, sessions=await self.erase())
