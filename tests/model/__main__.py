"""`python -m tests.model --seed S --steps N | --minutes M`: the model-based test for as long as asked."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback

from tests.model.runner import run_seed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="first seed; the following runs count up")
    parser.add_argument("--steps", type=int, default=4000, help="steps of one run")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=None, help="run seed after seed for this long")
    parser.add_argument("--keep-going", action="store_true", help="report a violation and go on with the next seed")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    began = time.monotonic()
    total = runs = failures = 0
    while True:
        try:
            report = run_seed(seed, options.steps)
        except Exception:  # noqa: BLE001 - any traceback is a finding
            failures += 1
            print(f"FAIL seed {seed}\n{traceback.format_exc()}", flush=True)
            if not options.keep_going:
                return 1
        else:
            total += report.steps
            print(report, flush=True)
        runs += 1
        seed += 1
        spent = time.monotonic() - began
        if spent >= options.minutes * 60 if options.minutes is not None else runs >= options.runs:
            break
    print(f"{runs} runs, {total} steps, {failures} violations, {spent:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
