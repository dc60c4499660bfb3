"""Header blocks: a peer's decoded by the library hpack and judged as requests, this end's written plainly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hpack import Decoder
from hpack.exceptions import OversizedHeaderListError

from hermes_h2.events import Refusal
from hermes_h2.faults import ConnectionFault, StreamFault
from hermes_h2.frames import Code

HeaderFields = Sequence[tuple[bytes, bytes]]

_PSEUDO: Final = frozenset({":method", ":scheme", ":path", ":authority"})
_REQUIRED: Final = (":method", ":scheme", ":path")
_OF_ONE_CONNECTION: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_MAX_LITERAL: Final = 126
"""A longer name or value would need its length in more than one byte."""
_LENGTH_DIGITS: Final = 18
_PLAIN: Final = range(0x20, 0x7F)


class HeaderReader:
    """One connection's decoder: blocks have to come in their order, and after a fault in one no other can be read."""

    __slots__ = ("_decoder",)

    def __init__(self, max_list_bytes: int) -> None:
        self._decoder = Decoder(max_header_list_size=max_list_bytes)

    def read(self, block: bytes) -> HeaderFields:
        """ConnectionFault for what is not HPACK, or too much of it."""
        try:
            return [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, Refusal.HEADER_BLOCK, "header list too long") from None
        except Exception:  # noqa: BLE001 - whatever a library does with bytes of strangers ends their connection only
            raise ConnectionFault(Code.COMPRESSION_ERROR, Refusal.COMPRESSION, "header block") from None


def judge_request(fields: HeaderFields, stream: int) -> dict[str, str]:
    """The fields of a request by name; StreamFault for one that is malformed (RFC 9113, 8.1.1)."""
    found: dict[str, str] = {}
    regular = False
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name[:1] == ":":
            if regular or name in found or name not in _PSEUDO:
                raise StreamFault(Code.PROTOCOL_ERROR, stream)
        else:
            regular = True
        if not name or name != name.lower() or name in _OF_ONE_CONNECTION or (name == "te" and value != "trailers"):
            raise StreamFault(Code.PROTOCOL_ERROR, stream)
        found[name] = value
    if not all(found.get(name) for name in _REQUIRED):
        raise StreamFault(Code.PROTOCOL_ERROR, stream)
    return found


def read_length(fields: dict[str, str]) -> int | None:
    """What a request says of its own length, where that is a number."""
    length = fields.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) <= _LENGTH_DIGITS else None


def judge_trailers(fields: HeaderFields, stream: int) -> None:
    if any(name[:1] == b":" or name != name.lower() for name, _ in fields):
        raise StreamFault(Code.PROTOCOL_ERROR, stream)


def write_block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Literals without table and Huffman code; names and values have up to 126 bytes of ASCII."""
    parts = []
    for name, value in fields:
        raw_name, raw_value = name.encode("ascii"), value.encode("ascii")
        parts.append(b"\0" + bytes((len(raw_name),)) + raw_name + bytes((len(raw_value),)) + raw_value)
    return b"".join(parts)


def quote_message(text: str) -> str:
    """`grpc-message`: percent-encoded, and cut to what one literal holds."""
    encoded = "".join(chr(byte) if byte in _PLAIN and byte != 0x25 else f"%{byte:02X}" for byte in text.encode())
    cut = encoded[:_MAX_LITERAL]
    tail = cut.rfind("%", len(cut) - 2)
    return cut if tail < 0 or len(encoded) == len(cut) else cut[:tail]


RESPONSE: Final = write_block([(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity")])


def build_trailers(status: int, text: str) -> bytes:
    fields = [("grpc-status", str(status))]
    if text:
        fields.append(("grpc-message", quote_message(text)))
    return write_block(fields)
