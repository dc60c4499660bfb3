"""What a mesh carries follows from what things cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scaling import page
from benchmarks.scaling.measure import Costs
from benchmarks.scaling.model import CORE_SHARE, MEMORY_BYTES, SIZES, multiply

COSTS = Costs(
    base_memory=64 * 2**20,
    app_memory=100 * 1024,
    chat_memory=10 * 1024,
    chat_disk=8 * 1024,
    opening_cpu=3e-3,
    message_alone=400e-6,
    message_batched=50e-6,
    one_node_alone=200e-6,
    one_node_batched=25e-6,
    peer_memory=256 * 1024,
    idle_cpu=3e-3,
)


def test_one_node_alone_has_all_chats_once() -> None:
    one = multiply(COSTS, 1, members_cpu=0.0, entry_bytes=0.0)
    assert one.alone == pytest.approx(CORE_SHARE / COSTS.one_node_alone)
    assert one.openings == pytest.approx(CORE_SHARE / COSTS.opening_cpu)
    of_a_chat = COSTS.chat_memory + 0.2 * COSTS.app_memory
    assert one.chats == pytest.approx((MEMORY_BYTES - COSTS.base_memory) / of_a_chat)
    assert one.streams_share == 0


def test_twice_the_nodes_carry_nearly_twice_as_much() -> None:
    small, large = (multiply(COSTS, nodes, members_cpu=0.003, entry_bytes=0.0) for nodes in (100, 200))
    assert 1.9 < large.alone / small.alone < 2
    assert 1.9 < large.chats / small.chats < 2


def test_streams_to_all_others_and_membership_take_their_share() -> None:
    mesh = multiply(COSTS, 1000, members_cpu=0.06, entry_bytes=0.0)
    assert mesh.streams_share == pytest.approx(999 * 256 * 1024 / MEMORY_BYTES)
    assert mesh.alone < 0.9 * multiply(COSTS, 1000, members_cpu=0.0, entry_bytes=0.0).alone
    full = multiply(replace(COSTS, peer_memory=2 * 2**20), 1000, members_cpu=0.0, entry_bytes=0.0)
    assert full.chats == 0, "nothing is left, and nothing below that"


def test_the_page_has_a_row_for_each_size() -> None:
    meshes = [multiply(COSTS, nodes, members_cpu=0.003, entry_bytes=0.0) for nodes in SIZES]
    assert len(page.format_meshes(meshes)) == 2 + len(SIZES)
    for lines in (page.format_meshes(meshes), page.format_costs(COSTS)):
        assert len({line.count("|") for line in lines}) == 1
