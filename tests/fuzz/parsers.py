"""Fuzz targets for everything else that is parsed from outside: hop payloads, protobuf batches, admin bodies, sealed records.

A parser of the wire raises ProtocolError only, one of the disk KeystoreError only; what it accepts it can write again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError, Message

from hermes_core.errors import ErrorCode, KeystoreError, ProtocolError
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.keystore.header import parse_header
from hermes_core.protocol import payload
from hermes_node.admin.bodies import read_body, read_handed_back, read_witness_id
from hermes_proto.v2 import admin_pb2, app_router_pb2, node_mesh_pb2
from hermes_wire.app import build_client_batch, build_server_batch, parse_client_batch, parse_server_batch
from hermes_wire.carry import build_carry, parse_carry
from hermes_wire.peer import build_gossip, build_join, build_peer_batch, parse_gossip, parse_peer_batch


def fuzz_payload(data: bytes) -> None:
    """The plaintext of a leg or tieline frame."""
    try:
        kind, seq = payload.parse_kind_and_seq(data)
    except ProtocolError:
        return
    if kind == payload.DATA:
        assert payload.encode_data(seq, payload.parse_data_frame(data)) == data
    elif kind == payload.ACK:
        assert payload.encode_ack(*payload.parse_ack(data)) == data
    elif kind == payload.CLAIM_ASK:
        assert payload.encode_ask(payload.parse_ask(data)) == data
    else:
        with suppress(ProtocolError):
            assert payload.encode_claim(payload.parse_claim(data)) == data


def _fuzz_message(
    message_type: type[Message], parse: Callable[[Any], Any], build: Callable[[Any], Message]
) -> Callable[[bytes], None]:
    def fuzz(data: bytes) -> None:
        message = message_type()
        try:
            message.ParseFromString(data)
        except DecodeError:  # gRPC refuses it before Hermes sees it
            return
        try:
            parsed = parse(message)
        except ProtocolError:
            return
        assert parse(message_type.FromString(build(parsed).SerializeToString())) == parsed

    return fuzz


def fuzz_admin(data: bytes) -> None:
    """The body of POST /resume, or of POST /resume/mark."""
    for body in (admin_pb2.ResumeWitness(), admin_pb2.HandedBack()):
        try:
            read_body(data, body)
            read_handed_back(body.mark)
            if isinstance(body, admin_pb2.ResumeWitness):
                read_witness_id(body)
        except ProtocolError as error:
            if error.code is not ErrorCode.INVALID_FRAME:  # it would be answered as a defect of the node
                raise AssertionError(error) from error


def fuzz_record(data: bytes) -> None:
    """A chat record: what a keystore would hand to the parser if its seal were broken."""
    try:
        record = parse_chat_record(data)
    except KeystoreError:
        return
    again = parse_chat_record(encode_chat_record(record))
    assert (again.chat_id, again.state, again.app_ids) == (record.chat_id, record.state, record.app_ids)
    record.wipe()
    again.wipe()


def fuzz_keystore_header(data: bytes) -> None:
    try:
        parse_header(data)
    except KeystoreError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "payload": fuzz_payload,
    "client-batch": _fuzz_message(app_router_pb2.ClientBatch, parse_client_batch, build_client_batch),
    "server-batch": _fuzz_message(app_router_pb2.ServerBatch, parse_server_batch, build_server_batch),
    "peer-batch": _fuzz_message(node_mesh_pb2.PeerBatch, parse_peer_batch, build_peer_batch),
    "gossip": _fuzz_message(node_mesh_pb2.GossipMessage, parse_gossip, build_gossip),
    "join": _fuzz_message(node_mesh_pb2.JoinMessage, parse_gossip, build_join),
    "carry": _fuzz_message(node_mesh_pb2.CarryMessage, parse_carry, build_carry),
    "admin": fuzz_admin,
    "record": fuzz_record,
    "keystore-header": fuzz_keystore_header,
}
