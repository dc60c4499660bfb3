"""The corpus of every fuzz target, and a few seconds of mutations of it (hypothesis; `python -m tests.fuzz` runs for long)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.mesh.messages import Hello, Proof
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.session import Challenge, Connect, Connected, Heartbeat
from hermes_core.session.canonical import CONTROL
from hermes_core.session.control import Tagged
from hermes_proto.v2 import app_router_pb2, node_mesh_pb2
from hermes_wire.app import parse_client_batch, parse_server_batch
from hermes_wire.carry import parse_carry
from hermes_wire.peer import parse_gossip, parse_peer_batch
from tests.fuzz import corpus

TARGETS = corpus.load_targets()
EDIT = st.tuples(
    st.sampled_from(["set", "flip", "insert", "delete", "repeat", "cut"]), st.integers(0, 4096), st.integers(0, 255)
)


def mutate(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(data)
    for kind, where, value in edits:
        place = where % (len(changed) + 1)
        if kind == "insert":
            changed[place:place] = bytes([value])
        elif kind == "repeat":
            changed[place:place] = changed[place : place + value]
        elif kind == "delete":
            del changed[place : place + 1 + value % 8]
        elif kind == "cut":
            del changed[place:]
        elif place < len(changed):
            changed[place] = value if kind == "set" else changed[place] ^ (1 << value % 8)
    return bytes(changed)


def test_every_target_is_listed() -> None:
    assert corpus.list_targets() == list(TARGETS)


def test_the_corpus_holds_the_authentic_inputs() -> None:
    """If this fails the formats changed: `python -m tests.fuzz --seed-corpus`."""
    for target, seeds in corpus.make_seeds().items():
        assert set(seeds) <= set(corpus.read_corpus(target)), target


def test_every_message_has_a_seed_and_every_control_message_one_with_a_tag() -> None:
    seeds = corpus.make_seeds()
    parsers: dict[str, tuple[Any, Any]] = {
        "client-batch": (app_router_pb2.ClientBatch, parse_client_batch),
        "server-batch": (app_router_pb2.ServerBatch, parse_server_batch),
        "peer-batch": (node_mesh_pb2.PeerBatch, parse_peer_batch),
        "gossip": (node_mesh_pb2.GossipMessage, lambda message: [parse_gossip(message)]),
        "join": (node_mesh_pb2.JoinMessage, lambda message: [parse_gossip(message)]),
        "carry": (node_mesh_pb2.CarryMessage, lambda message: [parse_carry(message)]),
    }
    found = [
        item
        for target, (message_type, parse) in parsers.items()
        for seed in seeds[target]
        for item in parse(message_type.FromString(seed))
    ]
    assert {type(item.message) for item in found if type(item) is Tagged} == set(CONTROL)
    untagged = {Sealed, Heartbeat, Challenge, Connect, Connected, Hello, Proof}
    assert {type(item) for item in found if type(item) is not Tagged} == untagged


@pytest.mark.parametrize("target", list(TARGETS))
def test_corpus(target: str) -> None:
    for data in corpus.read_corpus(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", list(TARGETS))
def test_mutations(target: str) -> None:
    seeds = corpus.read_corpus(target)

    @settings(max_examples=200)
    @given(st.one_of(st.builds(mutate, st.sampled_from(seeds), st.lists(EDIT, max_size=6)), st.binary(max_size=200)))
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()
