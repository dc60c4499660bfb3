"""Client of the nodes' admin endpoints: resume witness, resume report, members, drain, wipe (admin.proto as JSON)."""

from __future__ import annotations

import base64
import ipaddress
import time
from typing import TypeVar

import aiohttp
from google.protobuf import json_format
from google.protobuf.message import Message

from hermes_core.errors import ProtocolError
from hermes_core.handshake.renewal import verify_renewals
from hermes_core.ids import NodeId, derive_fingerprint
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_operator import names
from hermes_operator.nodes.departure import Leftover
from hermes_operator.nodes.held_mark import read_authentic, show_mark
from hermes_operator.nodes.resume_report import ResumeReport, Witness
from hermes_proto.v2 import admin_pb2

REQUEST_TIMEOUT_S = 5.0
# What apps are told of a planned restart: they do not give the node up before.
BACK_WITHIN_S = 60
# A wipe overwrites the whole file.
WIPE_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 1 << 20

M = TypeVar("M", bound=Message)


class NodeRequestError(Exception):
    """A node could not be asked, or answered something unusable; the message says what, for people."""


class NodeClient:
    """One HTTP session for all nodes. `port` differs from 9090 only in tests."""

    def __init__(self, session: aiohttp.ClientSession, *, port: int = names.ADMIN_PORT) -> None:
        self._session = session
        self._port = port

    async def take_witness(self, pod: str, ip: str, token: str) -> Witness:
        answer = await self._ask("POST", ip, "/resume/witness", token, admin_pb2.ResumeWitness())
        _require_node(pod, answer.node_id, answer.identity_fingerprint)
        return Witness(
            node_id=answer.node_id,
            identity_fingerprint=answer.identity_fingerprint,
            generation=answer.keystore.generation,
            commit_counter=answer.keystore.commit_counter,
            live_chats=answer.live_chats,
            witness_id=answer.witness_id,
            digest=answer.digest,
            mark=show_mark(answer.mark, answer.identity_fingerprint),
        )

    async def hand_back(self, pod: str, ip: str, token: str, mark: str) -> ResumeReport:
        """Give a node the mark that is held of it; the report's verdict says what it proves."""
        held = admin_pb2.HandedBack(node_id=pod, mark=base64.b64decode(mark), unix_ms=_read_clock())
        body = json_format.MessageToJson(held, preserving_proto_field_name=True)
        answer = await self._ask("POST", ip, "/resume/mark", token, admin_pb2.ResumeReport(), body=body)
        _require_node(pod, answer.node_id, answer.identity_fingerprint)
        return _decode_report(answer)

    async def check_resume(self, pod: str, ip: str, token: str, witness: Witness | None) -> ResumeReport:
        """The node's report; with a witness it compares itself with it."""
        if witness is None:
            answer = await self._ask("GET", ip, "/resume", token, admin_pb2.ResumeReport())
        else:
            body = json_format.MessageToJson(_encode_witness(witness), preserving_proto_field_name=True)
            answer = await self._ask("POST", ip, "/resume", token, admin_pb2.ResumeReport(), body=body)
        _require_node(pod, answer.node_id, answer.identity_fingerprint)
        return _decode_report(answer)

    async def version(self, ip: str, token: str) -> str:
        """The version the node tells its peers; empty when it does not list itself."""
        answer = await self._ask("GET", ip, "/mesh/members", token, admin_pb2.MeshMembers())
        return next((entry.version for entry in answer.members if entry.self), "")

    async def drain(self, ip: str, token: str, *, move: bool) -> Leftover:
        """Have a node send its apps away: with their chats, for good, or for a restart. What it still holds."""
        query = "chats=move" if move else f"chats=resume&back_within_s={BACK_WITHIN_S}"
        answer = await self._ask("POST", ip, f"/drain?{query}", token, admin_pb2.DrainStatus())
        return Leftover(answer.sessions, answer.live_chats)

    async def wipe(self, ip: str, token: str) -> None:
        await self._request("POST", ip, "/wipe", token, timeout_s=WIPE_TIMEOUT_S)

    async def _ask(self, method: str, ip: str, path: str, token: str, into: M, body: str | None = None) -> M:
        answer = await self._request(method, ip, path, token, body=body)
        try:
            return json_format.Parse(answer, into, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise NodeRequestError(f"{path} answered something that is not {into.DESCRIPTOR.name}: {error}") from None

    async def _request(
        self, method: str, ip: str, path: str, token: str, *, body: str | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> bytes:
        if not ip:
            raise NodeRequestError("the pod has no address yet")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.request(
                method, f"http://{_host(ip)}:{self._port}{path}", data=body, headers=headers, timeout=timeout
            ) as response:
                answer = await _read_bounded(response)
                if response.status >= 300:
                    said = answer[:200].decode(errors="replace").strip()
                    raise NodeRequestError(f"{method} {path} answered {response.status}: {said}")
                return answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeRequestError(f"{method} {path}: {str(error) or type(error).__name__}") from None


def _require_node(pod: str, node_id: str, identity: str) -> None:
    """An address may belong to another pod by now; an answer without an identity proves nothing."""
    if node_id != pod or not identity:
        raise NodeRequestError(f"expected {pod} at this address; {node_id or 'nobody'} answered")


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise NodeRequestError(f"{response.url.path} answered more than {MAX_ANSWER_BYTES} bytes")
    return bytes(answer)


def _host(ip: str) -> str:
    try:
        return f"[{ip}]" if ipaddress.ip_address(ip).version == 6 else ip
    except ValueError:
        return ip


def _encode_witness(witness: Witness) -> admin_pb2.ResumeWitness:
    return admin_pb2.ResumeWitness(
        node_id=witness.node_id,
        identity_fingerprint=witness.identity_fingerprint,
        keystore=admin_pb2.KeystoreMark(generation=witness.generation, commit_counter=witness.commit_counter),
        live_chats=witness.live_chats,
        witness_id=witness.witness_id,
        digest=witness.digest,
        mark=b"" if read_authentic(witness.mark) is None else base64.b64decode(witness.mark),
        unix_ms=_read_clock(),
    )


def _read_clock() -> int:
    """A node compares its own clock with it, and others'."""
    return round(time.time() * 1000)


def _decode_report(report: admin_pb2.ResumeReport) -> ResumeReport:
    return ResumeReport(
        identity_fingerprint=report.identity_fingerprint,
        generation=report.keystore.generation,
        commit_counter=report.keystore.commit_counter,
        live_chats=report.live_chats,
        resumed=report.resumed,
        expired=report.expired,
        corrupt=report.corrupt,
        rolled_back=report.rolled_back,
        closed_since=report.closed_since,
        moved_since=report.moved_since,
        former_fingerprints=_read_former(report),
        missing=report.missing,
        lowered=report.lowered,
        verdict=_parse_verdict(report.verdict),
        detail=report.detail,
        mark=show_mark(report.mark, report.identity_fingerprint),
        open_id=report.open_id,
    )


def _read_former(report: admin_pb2.ResumeReport) -> frozenset[str]:
    """Fingerprints of the keys whose place the node's present one took, which signed the mark; nothing else is believed."""
    mark = read_authentic(show_mark(report.mark, report.identity_fingerprint))
    if mark is None:
        return frozenset()
    try:
        former = verify_renewals(report.renewals, NodeId(report.node_id), mark.node_key)
    except ProtocolError:
        return frozenset()
    return frozenset(map(derive_fingerprint, former))


def _parse_verdict(number: int) -> ResumeVerdict:
    """One that only a newer node knows counts as none given, which never passes a check."""
    try:
        return ResumeVerdict(number)
    except ValueError:
        return ResumeVerdict.RESUME_VERDICT_UNSPECIFIED
