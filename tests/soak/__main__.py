"""`make soak MINUTES=20 SEED=7`: real nodes and apps under drawn faults; exit code 0 when every promise was kept."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_UNPROVEN
from hermes_core.errors import HermesError
from tests.soak.breaks import BREAKS
from tests.soak.plan import KINDS
from tests.soak.report import SoakReport
from tests.soak.run import SoakOptions, run_soak
from tests.soak.signals import end_in_order

INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog=f"SOAK_BREAK={'|'.join(BREAKS)} breaks a promise on purpose: the soak must find it.",
    )
    parser.add_argument("--seconds", type=float, default=300, help="how long faults come (default 300)")
    parser.add_argument("--seed", type=int, default=None, help="of the plan of faults (default: a new one, which is told)")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--apps", type=int, default=20)
    parser.add_argument("--chats", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1.0, help="sendings a second of each app in each chat")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of faults, with commas between")
    parser.add_argument("--fronts", type=int, default=0, help="app.fronts of the nodes (default 0)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where soak.json and soak.md go (default build)")
    parser.add_argument("--keep", type=Path, help="keep stores, logs and events here; kept anyhow when a promise was broken")
    return parser


async def _run(options: SoakOptions, folder: Path) -> SoakReport:
    end_in_order()
    return await run_soak(options, folder, lambda text: print(text, flush=True))


def main() -> int:
    arguments = build_parser().parse_args()
    kinds = frozenset(arguments.kinds.split(","))
    broken = os.environ.get("SOAK_BREAK", "")
    if unknown := kinds - set(KINDS):
        sys.stderr.write(f"unknown kind of fault {', '.join(unknown)}; there are {', '.join(KINDS)}\n")
        return EXIT_UNPROVEN
    if broken not in ("", *BREAKS):
        sys.stderr.write(f"SOAK_BREAK={broken!r} is unknown; use one of {', '.join(BREAKS)}\n")
        return EXIT_UNPROVEN
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    options = SoakOptions(
        arguments.seconds,
        seed,
        arguments.nodes,
        arguments.apps,
        arguments.chats,
        arguments.rate,
        kinds=kinds,
        broken=broken,
        fronts=arguments.fronts,
    )
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="hermes-soak-"))
    keep = arguments.keep is not None
    print(f"soak: seed {seed}, faults for {arguments.seconds:.0f} s", flush=True)
    try:
        report = asyncio.run(_run(options, folder))
        report.write(arguments.out)
        keep = keep or report.exit_code == EXIT_BROKEN_PROMISE
        print(f"{arguments.out / 'soak.md'} has the figures" + (f", {folder} logs and events" if keep else ""))
        print(report.closing_line())
    except HermesError as error:
        sys.stderr.write(f"soak: {error}\n")
        return EXIT_UNPROVEN
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("soak: interrupted; every process was ended\n")
        return INTERRUPTED
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
