"""`python -m tests.mesh [NAME…]`: figures of membership by SWIM, made anew; exit 1 when one is not what it must be.

`--write` puts them into docs/swim.md, in the place of those of before. The same seed makes the same figures, to the last digit.
"""

from __future__ import annotations

import sys
import time

from tests.mesh.page import OURS, choose, read_options, write_table
from tests.mesh.table import FIGURES, write_row

HEAD = "| what | members | figure | made by |\n| --- | --- | --- | --- |\n"


def main() -> int:
    options = read_options("python -m tests.mesh", __doc__, FIGURES)
    rows, broken = [], []
    print(f"seed {options.seed}")
    for name, figure, members in choose(options, FIGURES):
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
