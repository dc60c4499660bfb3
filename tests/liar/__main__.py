"""`python -m tests.liar --seconds 60 --seed S`: exit code 0 when honest ones felt nothing of the liar, else 1."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.signals import end_in_order

try:
    from tests.liar.world import Options, run_liar
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith(("tests", "hermes")):
        raise  # a fault of ours
    sys.exit(f"python -m tests.liar: {error.name} is not installed here; `make venv` installs all that tests need")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.liar", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long it lies (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="of what it draws (default: a new one, which is told)")
    parser.add_argument("--membership", choices=["swim", "gossip"], default="swim", help="how members find each other")
    parser.add_argument("--fronts", type=int, default=0, help="app.fronts of the nodes (default 0)")
    parser.add_argument("--rate", type=float, default=30, help="lies a second, besides those in its own words (default 30)")
    parser.add_argument("--keep", type=Path, help="keep logs and lies here; kept anyhow when a promise was broken")
    return parser


async def _run(options: Options, folder: Path) -> int:
    end_in_order()
    findings = await run_liar(options, folder)
    print(findings.describe())
    return 1 if findings.broken else 0


def main() -> int:
    arguments = build_parser().parse_args()
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="hermes-liar-"))
    print(f"liar: seed {seed}, {arguments.membership}, for {arguments.seconds:.0f} s", flush=True)
    options = Options(arguments.seconds, seed, arguments.membership, arguments.rate, arguments.fronts)
    code = 1
    try:
        code = asyncio.run(_run(options, folder))
    finally:
        if code == 0 and arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"{folder} has its lies and everybody's logs")
    return code


if __name__ == "__main__":
    sys.exit(main())
