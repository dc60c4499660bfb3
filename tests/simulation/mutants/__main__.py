"""`python -m tests.simulation.mutants`: whether the simulation catches each fault that is put into the product on purpose.

A mutant is caught by the first seed whose world breaks an invariant with it and keeps it without it. That also shows that
it is not equivalent to the product. Exit 1 when one is not caught.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.batch import count_cores
from tests.simulation.mutants.catalogue import ALL
from tests.simulation.mutants.hunters import Finding, hunt_all

FORM = "{:<24} {:<9} {:>5} {:>7}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--name", action="append", help="only this mutant; may be given again")
    parser.add_argument("--seeds", type=int, default=500, metavar="N", help="worlds a mutant has at most")
    parser.add_argument("--jobs", type=int, default=count_cores(), help="processes (default: one a core)")
    options = parser.parse_args()
    mutants = [mutant for mutant in ALL if not options.name or mutant.name in options.name]
    began = time.monotonic()
    print(FORM.format("mutant", "room", "seed", "worlds", "what it breaks"))
    findings = []
    for finding in hunt_all(mutants, options.seeds, options.jobs):
        findings.append(finding)
        _tell(finding)
    alone = {finding.invariants[0] for finding in findings if len(finding.invariants) == 1}
    missed = [finding.mutant.name for finding in findings if not finding.invariants]
    print(f"{len(findings) - len(missed)} of {len(mutants)} caught in {time.monotonic() - began:.0f} s")
    print(f"{len(alone)} invariants have a mutant that nothing else catches: {', '.join(sorted(alone))}")
    return 1 if missed or not mutants else 0


def _tell(finding: Finding) -> None:
    mutant = finding.mutant
    what = "; ".join(finding.invariants) or f"NOT CAUGHT ({finding.trouble or 'no world shows it'}): {mutant.breaks}"
    print(FORM.format(mutant.name, mutant.room, finding.seed, finding.worlds, what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
