"""The canonical bytes of every control message, which tags cover: one table, independent of protobuf.

docs/reference/protocol.md shows the same table. A field is never left out: what is absent is an empty string.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.messages import Carried, CarryFrom, CarryTo
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.mesh.homes.messages import EntriesHeld, EntryFound, EntryOvertaken, FindEntry, FindRefused, HoldEntries
from hermes_core.mesh.messages import Clock, HeldMark, MembershipUpdate, OwnMark
from hermes_core.mesh.swim import messages as swim
from hermes_core.protocol import messages as m
from hermes_core.protocol import session as s

Encode = Callable[[Any], bytes]
Fields = tuple[tuple[str, Encode], ...]


class Layout(NamedTuple):
    """A type's number, given once, and its fields in their order."""

    number: int
    fields: Fields


def _text(value: str | None) -> bytes:
    return lp((value or "").encode())


def _data(value: bytes | None) -> bytes:
    return lp(value or b"")


def encode_fields(fields: Fields, value: object) -> bytes:
    return b"".join([encode(getattr(value, name)) for name, encode in fields])


def _part(*fields: tuple[str, Encode]) -> Encode:
    return lambda value: encode_fields(fields, value)


def _list(of: Encode) -> Encode:
    def encode(values: Collection[Any]) -> bytes:
        return u32(len(values)) + b"".join(map(of, values))

    return encode


_STATEMENT = _part(
    ("epoch", u64), ("order", u64), ("suites", _data), ("ephemeral", _data), ("kem", _data), ("signature", _data)
)
_CLAIM = _part(
    ("epoch", u64),
    ("suite", u64),
    ("transcript_hash", _data),
    ("send_next", u64),
    ("recv_next", u64),
    ("recv_proven", u64),
    ("order", u64),
    ("tag", _data),
)
_MOVE = _part(
    ("mover_key", _data), ("peer", _text), ("home", _text), ("number", u64), ("leg_hash", _data), ("signature", _data)
)
_PROOF = _part(("epoch", u64), ("tag", _data))
_DESCRIPTOR = _part(
    ("node_id", _text),
    ("node_key", _data),
    ("address", _text),
    ("incarnation", u64),
    ("version", _text),
    ("signature", _data),
    ("app_address", _text),
    ("renewals", _data),
)
_MEMBER = _part(("descriptor", _DESCRIPTOR), ("state", u64), ("incarnation", u64))
_HOME_ENTRY: Final[Fields] = (("home", _part(("node_id", _text), ("node_key", _data))), ("signed", _data))
_NO_ENTRY: Final = HomeEntry(NodeName(NodeId(""), b""), b"")


def _encode_home_entry(entry: HomeEntry | None) -> bytes:
    return encode_fields(_HOME_ENTRY, entry or _NO_ENTRY)


_FACTS: Final[dict[type, Layout]] = {
    swim.Alive: Layout(1, (("descriptor", _DESCRIPTOR),)),
    swim.SignedDeparture: Layout(2, (("subject", _text), ("subject_key", _data), ("incarnation", u64), ("signature", _data))),
    swim.Accusation: Layout(
        3,
        (
            ("subject", _text),
            ("subject_key", _data),
            ("incarnation", u64),
            ("accuser", _text),
            ("accuser_key", _data),
            ("accuser_incarnation", u64),
            ("signature", _data),
        ),
    ),
}


def _fact(value: swim.Fact) -> bytes:
    number, fields = _FACTS[type(value)]
    return u8(number) + encode_fields(fields, value)


_LISTED = _part(("node_id", _text), ("incarnation", u64), ("mark", _data))

_HANDED_ON = _part(
    ("home", _part(("node_id", _text), ("node_key", _data))), ("entries", _list(_part(("signed", _data), ("age_s", u64))))
)

SETTINGS: Final[Fields] = (
    ("app_id", _text),
    ("heartbeat_interval_ms", u64),
    ("max_frame_bytes", u64),
    ("window_frames", u64),
    ("mark", _data),
)
"""Of a Connected: what its signature covers besides the handshake."""

CONTROL: Final[dict[type, Layout]] = {
    m.Offer: Layout(
        1,
        (("chat_id", _data), ("initiator_key", _data), ("target", _text), ("end_to_end", _STATEMENT), ("hop", _STATEMENT)),
    ),
    m.Answer: Layout(
        2,
        (
            ("chat_id", _data),
            ("responder_key", _data),
            ("end_to_end", _STATEMENT),
            ("end_to_end_confirm", _data),
            ("hop", _STATEMENT),
            ("hop_confirm", _data),
        ),
    ),
    m.Confirm: Layout(
        3,
        (
            ("chat_id", _data),
            ("end_to_end_epoch", u64),
            ("end_to_end_confirm", _data),
            ("hop_epoch", u64),
            ("hop_confirm", _data),
        ),
    ),
    m.Reject: Layout(4, (("chat_id", _data), ("code", u64), ("retry_after_ms", u64))),
    m.Resume: Layout(5, (("chat_id", _data), ("claims", _list(_CLAIM)))),
    m.PathState: Layout(6, (("chat_id", _data), ("up", u8))),
    m.Closed: Layout(7, (("chat_id", _data), ("reason", u64), ("proofs", _list(_PROOF)))),
    m.ClosedAck: Layout(8, (("chat_id", _data), ("reason", u64))),
    m.Delete: Layout(9, (("chat_id", _data), ("failed", u8), ("proofs", _list(_PROOF)))),
    m.ErrorNotice: Layout(10, (("code", u64), ("scope", u64), ("chat_id", _data), ("detail", _text), ("retry_after_ms", u64))),
    s.FindApp: Layout(11, (("app_id", _text),)),
    s.AppFound: Layout(12, (("app_id", _text), ("online", u8), ("node_id", _text))),
    s.NodeChange: Layout(13, (("drain_after_ms", u64), ("back_within_ms", u64), ("for_good", u8))),
    MembershipUpdate: Layout(14, (("members", _list(_MEMBER)),)),
    HeldMark: Layout(15, (("mark", _data),)),
    OwnMark: Layout(16, (("mark", _data),)),
    Clock: Layout(17, (("unix_ms", u64),)),
    m.MoveOffer: Layout(18, (("chat_id", _data), ("move", _MOVE), ("hop", _STATEMENT))),
    m.MoveAnswer: Layout(19, (("chat_id", _data), ("number", u64), ("hop", _STATEMENT), ("hop_confirm", _data))),
    m.Moved: Layout(20, (("chat_id", _data), ("move", _MOVE))),
    m.MoveWanted: Layout(21, (("chat_id", _data),)),
    swim.Ping: Layout(22, (("seq", u64), ("nonce", _data), ("asker", _text), ("facts", _list(_fact)))),
    swim.Pong: Layout(23, (("seq", u64), ("signature", _data), ("facts", _list(_fact)))),
    swim.PingRequest: Layout(24, (("seq", u64), ("target", _text), ("nonce", _data), ("facts", _list(_fact)))),
    swim.PingReport: Layout(25, (("seq", u64), ("signature", _data))),
    swim.SyncDigests: Layout(26, (("sums", _list(u64)),)),
    swim.SyncListing: Layout(27, (("mask", u64), ("entries", _list(_LISTED)))),
    swim.SyncWanted: Layout(28, (("names", _list(_text)),)),
    swim.SyncFacts: Layout(29, (("facts", _list(_fact)),)),
    HoldEntries: Layout(
        30, (("number", u64), ("node_key", _data), ("entries", _list(_data)), ("handed_on", _list(_HANDED_ON)))
    ),
    EntriesHeld: Layout(31, (("number", u64),)),
    FindEntry: Layout(32, (("number", u64), ("app_id", _text))),
    EntryFound: Layout(33, (("number", u64), ("entry", _encode_home_entry))),
    EntryOvertaken: Layout(34, (("entry", _encode_home_entry),)),
    FindRefused: Layout(35, (("number", u64), ("code", u64), ("retry_after_ms", u64))),
    CarryTo: Layout(36, (("target", _text),)),
    CarryFrom: Layout(37, (("origin", _text),)),
    Carried: Layout(38, (("data", _data), ("more", u8))),
}
"""Every message that carries a tag on a proven stream. All others are sealed frames, heartbeats, and the handshake itself."""


def encode_control(message: object) -> tuple[int, bytes]:
    """The number of the message's type, and its canonical bytes."""
    number, fields = CONTROL[type(message)]
    return number, encode_fields(fields, message)
