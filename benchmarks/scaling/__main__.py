"""`python -m benchmarks.scaling`: measure what apps, chats and messages cost real nodes here, and multiply it out for meshes.

`--write` puts both tables into docs/scaling.md. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace

from benchmarks.report import describe_machine
from benchmarks.scaling import page
from benchmarks.scaling.measure import Sizes, measure
from benchmarks.scaling.model import SIZES, multiply
from hermes_core.mesh.homes.params import HOLDERS
from tests.mesh import homes
from tests.mesh.figures import rest

MEMBERS = 100
"""Membership at rest costs the same at any size."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--chats", type=int, default=Sizes().chats, help="how many are opened (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=Sizes().seconds, help="of messages, each way (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write the page's tables")
    options = parser.parse_args()
    costs = asyncio.run(measure(replace(Sizes(), chats=options.chats, seconds=options.seconds)))
    members_cpu = rest(MEMBERS, seed=1).cpu_ms / 1e3
    entries = HOLDERS * homes.measure(lambda: homes.hold_entries(homes.SAMPLE)) / homes.SAMPLE
    tables = {
        "costs": page.format_costs(costs),
        "meshes": page.format_meshes([multiply(costs, nodes, members_cpu=members_cpu, entry_bytes=entries) for nodes in SIZES]),
    }
    machine = describe_machine()
    for mark, lines in tables.items():
        print("\n".join(lines) + "\n")
        if options.write:
            page.write(mark, lines)
    print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
