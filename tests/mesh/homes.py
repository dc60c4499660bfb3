"""What the directory of apps costs a node in memory: bytes of one entry as measured, meshes as modelled from them."""

from __future__ import annotations

import argparse
import gc
import hashlib
import tracemalloc
from collections.abc import Callable
from typing import Final

from hermes_core.ids import NodeId, derive_app_id
from hermes_core.mesh.homes.entry import ENTRY_BYTES
from hermes_core.mesh.homes.holders import Holders
from hermes_core.mesh.homes.machine import Homes
from hermes_core.mesh.homes.messages import EntriesHeld, HoldEntries
from hermes_core.mesh.homes.params import HOLDERS, HomesParams
from hermes_core.protocol.session import AppClaim
from tests.support.homes_world import identity_of

SAMPLE: Final = 20_000
FULLEST: Final = 1.35
"""The fullest of a thousand members on a ring with 64 points each holds so many times its share."""
LIST_BYTES: Final = 514
"""Of one app, at every node, when each told all others its whole list."""
MESHES: Final = ((5, 10_000), (100, 10_000), (1_000, 10_000))


def measure(build: Callable[[], object]) -> int:
    """Bytes that what it returns holds."""
    gc.collect()
    tracemalloc.start()
    kept = build()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size


def _fill(name: str, length: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(length)


def _make_entry(number: int) -> bytes:
    signed = bytearray(_fill(f"entry {number}", ENTRY_BYTES))
    signed[32] &= 127  # numbers of 63 bits
    signed[136] &= 127
    signed[144] &= 127
    signed[152] = 1
    return bytes(signed)


def _build_homes(others: int) -> Homes:
    homes = Homes(identity_of(1), NodeId("node-0"), 1, HomesParams(), lambda _stamp, _now: True)
    homes.set_members({NodeId(f"node-{number}"): 1 for number in range(1, 1 + others)}, 0.0)
    return homes


def hold_entries(count: int) -> Homes:
    """A node that holds so many for others."""
    homes = _build_homes(1)
    for start in range(0, count, 250):
        entries = tuple(_make_entry(number) for number in range(start, start + 250))
        homes.receive(NodeId("node-1"), HoldEntries(1, bytes(32), entries), 0.0)
        homes.take_output()
    assert homes.count_held() == count
    return homes


def publish_apps(count: int) -> Homes:
    """A node whose apps are all at their holders."""
    homes = _build_homes(5)
    claims = {}
    for number in range(count):
        claim = AppClaim(_fill(f"app {number}", 32), number, _fill(f"hello {number}", 32), _fill(f"claim {number}", 64))
        claims[derive_app_id(claim.app_key)] = claim
    homes.set_connected(claims, 0.0)
    while (sends := homes.take_output().sends) or homes.next_timer(0.0) == 0.0:
        for holder, message in sends:
            if isinstance(message, HoldEntries):
                homes.receive(holder, EntriesHeld(message.number), 0.0)
        homes.handle_timer(0.0)
    return homes


def build_ring(members: int) -> Holders:
    holders = Holders(NodeId("node-0"))
    holders.set_members({NodeId(f"node-{number}"): 1 for number in range(1, members)})
    return holders


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.mesh.homes", description=__doc__).parse_args()  # it has no options
    held = measure(lambda: hold_entries(SAMPLE)) / SAMPLE
    own = measure(lambda: publish_apps(2_000)) / 2_000
    print(f"Measured: {held:.0f} bytes an entry that is held for others, {own:.0f} an own app (its claim included).")
    print("Modelled of these, MiB of one node:\n")
    print("| nodes x apps | entries held | held; the fullest | own apps | ring, measured | in all | whole lists |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for nodes, apps in MESHES:
        ring = measure(lambda nodes=nodes: build_ring(nodes)) / 2**20  # type: ignore[misc]
        share = min(HOLDERS, nodes) * apps
        mine, others = own * apps / 2**20, held * share / 2**20
        lists = LIST_BYTES * (nodes - 1) * apps / 2**20
        fullest = others * FULLEST
        print(
            f"| {nodes:,} x {apps:,} | {share:,} | {others:.1f}; {fullest:.1f} | {mine:.1f} | {ring:.1f}"
            f" | {mine + fullest + ring:.1f} | {lists:,.0f} |"
        )


if __name__ == "__main__":
    main()
