"""Runs every bench_*.py here (or those named), prints the table, writes build/bench.json and docs/benchmarks.md.

Exit code 1 when a figure is short of what it must reach or a module fails. Named modules print, and write nothing.
"""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from pathlib import Path

from benchmarks.measure import Figure
from benchmarks.report import describe_machine, format_rows, reaches, write_json, write_page

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    modules = sorted(path.stem for path in HERE.glob("bench_*.py"))
    chosen = [module for module in modules if not names or module.removeprefix("bench_") in names or module in names]
    if not chosen:
        print(f"no such bench; there are: {' '.join(modules)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    failed: list[str] = []
    for module in chosen:
        started = time.monotonic()
        print(f"{module} …", flush=True)
        try:
            found = importlib.import_module(f"benchmarks.{module}").run()
        except Exception:  # noqa: BLE001  # one module that fails must not hide the others' figures
            traceback.print_exc()
            failed.append(module)
            continue
        figures += found
        for row in format_rows(found):
            print(f"  {row}")
        print(f"  {time.monotonic() - started:.1f} s", flush=True)
    machine = describe_machine()
    if not names:
        write_json(figures, machine, failed)
        write_page(figures, machine, failed)
    short = [figure["id"] for figure in figures if not reaches(figure, "must")]
    print(f"{len(figures)} figures, {len(short)} short {' '.join(short)}, {len(failed)} failed {' '.join(failed)}")
    return 1 if short or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
