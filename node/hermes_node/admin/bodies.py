"""Bodies of admin requests: protobuf JSON, and the ids and marks in it, read before anything is done with them."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.keystore.mark import Mark, parse_mark
from hermes_core.keystore.witness_codec import WITNESS_ID_BYTES
from hermes_proto.v2 import admin_pb2

M = TypeVar("M", bound=Message)


def read_body(data: bytes, into: M) -> M:
    """A body of at most `HttpBounds.body_bytes`; INVALID_FRAME unless it is such a message in JSON.

    JSON is UTF-8, whatever charset the request names: one that nobody knows must not raise.
    """
    try:
        return json_format.Parse(data, into)
    except (json_format.ParseError, UnicodeDecodeError):
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"the body is not a {into.DESCRIPTOR.name} in JSON") from None


def read_witness_id(witness: admin_pb2.ResumeWitness) -> bytes:
    """16 bytes; INVALID_FRAME unless they are there in hex."""
    try:
        witness_id = bytes.fromhex(witness.witness_id)
    except ValueError:
        witness_id = b""
    if len(witness_id) != WITNESS_ID_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"witness_id must be {2 * WITNESS_ID_BYTES} hex digits")
    return witness_id


def read_handed_back(data: bytes) -> Mark | None:
    """INVALID_FRAME unless some node signed it; None when it is empty."""
    try:
        return parse_mark(data) if data else None
    except ProtocolError as error:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"this is no mark: {error.detail}") from None
