"""`python -m tests.mesh [NAME…]`: figures of membership by SWIM, made anew; exit 1 when one is not what it must be.

`--write` puts them into docs/swim.md, in the place of those of before. The same seed makes the same figures, to the last digit.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.mesh.page import OURS, write_table
from tests.mesh.table import FIGURES, SEED, write_row

HEAD = "| what | members | figure | made by |\n| --- | --- | --- | --- |\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mesh", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(FIGURES)} (all when absent)")
    parser.add_argument("--members", type=int, help="only at this size (default: those of the page)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write the page's table")
    options = parser.parse_args()
    if unknown := set(options.names) - FIGURES.keys():
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    if options.write and options.seed != SEED:
        parser.error("the page has figures of one seed")
    rows, broken = [], []
    print(f"seed {options.seed}")
    for name, figure in FIGURES.items():
        for members in (options.members,) if options.members else figure.sizes:
            if options.names and name not in options.names:
                continue
            began = time.process_time()
            row = figure.make(members, options.seed)
            rows.append(write_row(name, members, row))
            broken += [f"{name} at {members}: {row.broken}"] * bool(row.broken)
            print(f"{figure.title}, {members:,} members: {row.text} ({time.process_time() - began:.0f} s)", flush=True)
    if options.write:
        write_table(OURS, HEAD, rows)
    print("\n".join(broken) or "all as they must be")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
