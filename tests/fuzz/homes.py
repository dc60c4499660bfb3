"""Fuzz target of the directory: whatever a member sends, nothing is raised, nobody is moved by it, memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from google.protobuf.message import DecodeError

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.homes.messages import (
    AgedEntry,
    EntriesHeld,
    EntryFound,
    EntryOvertaken,
    FindEntry,
    FindRefused,
    HandedOn,
    HoldEntries,
    HomesMessage,
)
from hermes_core.mesh.homes.params import HomesParams
from hermes_proto.v2 import node_mesh_pb2
from hermes_wire.peer import build_gossip, parse_gossip
from tests.support.homes_world import HomesWorld, app_of, id_of, identity_of, make_home_entry

_PARAMS = HomesParams(max_held=8, max_gone=8, max_under_way=8)
_LIAR = NodeId("node-1")
_STAMP = 5_000


def fuzz_homes(data: bytes) -> None:
    pb = node_mesh_pb2.GossipMessage()
    try:
        pb.ParseFromString(data)
    except DecodeError:  # gRPC refuses it before Hermes sees it
        return
    pb.tag = b""
    try:
        message = parse_gossip(pb)
    except ProtocolError:
        return
    if isinstance(message, get_args(HomesMessage)):
        _receive(message)


def _receive(message: HomesMessage) -> None:
    """From a member, to a node with an app of its own that looks for another one."""
    world = HomesWorld(3, _PARAMS)
    world.connect(0, [app_of(1)], _STAMP)
    world.lose = lambda sender, *_: sender != "node-0"
    world[0].homes.look_up(id_of(app_of(2)), world.now)
    world.settle()
    for _ in range(3):
        world[0].homes.receive(_LIAR, message, world.now)
        world.settle()
    world.pass_time(10)
    assert world[0].homes.count_held() <= _PARAMS.max_held
    assert world[0].overtaken == [], "it has none of the app's signatures"
    assert world.place(0, app_of(1)) == ("node-0", True)


def make_seeds() -> dict[str, list[bytes]]:
    world = HomesWorld(2)
    liar = world[1].identity
    entries = [make_home_entry(liar, "node-1", app_of(number), _STAMP) for number in (2, 3)]
    gone = make_home_entry(identity_of(7), "node-7", app_of(2), _STAMP)
    forged = HoldEntries(1, liar.public_key, (app_of(1).public_key + entries[0].signed[32:],))
    messages = (
        HoldEntries(1, liar.public_key, tuple(entry.signed for entry in entries)),
        forged,
        HoldEntries(
            2, liar.public_key, (), (HandedOn(gone.home, (AgedEntry(gone.signed, 60), AgedEntry(gone.signed, 2**32 - 1))),)
        ),
        EntriesHeld(1),
        FindEntry(1, id_of(app_of(1))),
        FindEntry(2, id_of(app_of(2))),
        EntryFound(1, entries[0]),
        EntryFound(1, None),
        EntryOvertaken(entries[0]),
        FindRefused(1, ErrorCode.HANDSHAKE_THROTTLED, 2**32 - 1),
    )
    return {"homes": [build_gossip(message).SerializeToString() for message in messages]}


TARGETS: dict[str, Callable[[bytes], None]] = {"homes": fuzz_homes}
