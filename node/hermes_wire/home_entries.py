"""The directory's messages on Gossip: entries of apps for their holders, look-ups and answers; protobuf to core and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hermes_core.ids import MAX_POSITION, PUBLIC_KEY_BYTES, parse_app_id, parse_node_id
from hermes_core.mesh.homes import messages as homes
from hermes_core.mesh.homes.entry import HomeEntry, NodeName, check_entry
from hermes_core.protocol.validate import parse_error_code, require
from hermes_proto.v2 import errors_pb2, node_mesh_pb2


def _parse_number(pb: Any) -> int:
    require(pb.number <= MAX_POSITION, "number is too large")
    return int(pb.number)


def _parse_key(key: bytes) -> bytes:
    require(len(key) == PUBLIC_KEY_BYTES, "node_key must be 32 bytes")
    return key


def _parse_entry(pb: node_mesh_pb2.HomeEntry) -> HomeEntry:
    return HomeEntry(NodeName(parse_node_id(pb.node_id), _parse_key(pb.node_key)), check_entry(pb.entry))


def _build_entry(entry: HomeEntry) -> node_mesh_pb2.HomeEntry:
    return node_mesh_pb2.HomeEntry(node_id=entry.home.node_id, node_key=entry.home.node_key, entry=entry.signed)


def _parse_hold(pb: node_mesh_pb2.HoldEntries) -> homes.HoldEntries:
    count = len(pb.entries) + sum(max(1, len(handed.entries)) for handed in pb.handed_on)
    require(count <= homes.MAX_ENTRIES, f"a message holds at most {homes.MAX_ENTRIES} entries")
    entries, handed_on = tuple(map(check_entry, pb.entries)), tuple(map(_parse_handed, pb.handed_on))
    return homes.HoldEntries(_parse_number(pb), _parse_key(pb.node_key), entries, handed_on)


def _parse_handed(pb: node_mesh_pb2.HandedOn) -> homes.HandedOn:
    entries = tuple(homes.AgedEntry(check_entry(aged.entry), aged.age_s) for aged in pb.entries)
    return homes.HandedOn(NodeName(parse_node_id(pb.node_id), _parse_key(pb.node_key)), entries)


def _build_handed(m: homes.HandedOn) -> node_mesh_pb2.HandedOn:
    entries = [node_mesh_pb2.AgedEntry(entry=aged.signed, age_s=aged.age_s) for aged in m.entries]
    return node_mesh_pb2.HandedOn(node_id=m.home.node_id, node_key=m.home.node_key, entries=entries)


def _build_hold(m: homes.HoldEntries) -> node_mesh_pb2.HoldEntries:
    handed_on = [_build_handed(handed) for handed in m.handed_on]
    return node_mesh_pb2.HoldEntries(number=m.number, node_key=m.node_key, entries=m.entries, handed_on=handed_on)


def _parse_held(pb: node_mesh_pb2.EntriesHeld) -> homes.EntriesHeld:
    return homes.EntriesHeld(_parse_number(pb))


def _build_held(m: homes.EntriesHeld) -> node_mesh_pb2.EntriesHeld:
    return node_mesh_pb2.EntriesHeld(number=m.number)


def _parse_find(pb: node_mesh_pb2.FindEntry) -> homes.FindEntry:
    return homes.FindEntry(_parse_number(pb), parse_app_id(pb.app_id))


def _build_find(m: homes.FindEntry) -> node_mesh_pb2.FindEntry:
    return node_mesh_pb2.FindEntry(number=m.number, app_id=m.app_id)


def _parse_found(pb: node_mesh_pb2.EntryFound) -> homes.EntryFound:
    return homes.EntryFound(_parse_number(pb), _parse_entry(pb.entry) if pb.HasField("entry") else None)


def _build_found(m: homes.EntryFound) -> node_mesh_pb2.EntryFound:
    return node_mesh_pb2.EntryFound(number=m.number, entry=None if m.entry is None else _build_entry(m.entry))


def _parse_overtaken(pb: node_mesh_pb2.HomeEntry) -> homes.EntryOvertaken:
    return homes.EntryOvertaken(_parse_entry(pb))


def _build_overtaken(m: homes.EntryOvertaken) -> node_mesh_pb2.HomeEntry:
    return _build_entry(m.entry)


def _parse_refused(pb: node_mesh_pb2.FindRefused) -> homes.FindRefused:
    return homes.FindRefused(_parse_number(pb), parse_error_code(pb.code), pb.retry_after_ms)


def _build_refused(m: homes.FindRefused) -> node_mesh_pb2.FindRefused:
    code = errors_pb2.ErrorCode.ValueType(m.code)
    return node_mesh_pb2.FindRefused(number=m.number, code=code, retry_after_ms=m.retry_after_ms)


PARSERS: Final[dict[str, Callable[[Any], homes.HomesMessage]]] = {
    "hold_entries": _parse_hold,
    "entries_held": _parse_held,
    "find_entry": _parse_find,
    "entry_found": _parse_found,
    "entry_overtaken": _parse_overtaken,
    "find_refused": _parse_refused,
}
BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    homes.HoldEntries: ("hold_entries", _build_hold),
    homes.EntriesHeld: ("entries_held", _build_held),
    homes.FindEntry: ("find_entry", _build_find),
    homes.EntryFound: ("entry_found", _build_found),
    homes.EntryOvertaken: ("entry_overtaken", _build_overtaken),
    homes.FindRefused: ("find_refused", _build_refused),
}
