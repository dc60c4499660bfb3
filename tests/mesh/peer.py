"""`python -m tests.mesh.peer [NAME…]`: the figures of memberlist under the faults of `python -m tests.mesh`; needs Go.

memberlist (Go) is what most use of SWIM with Lifeguard. Its own code runs under virtual time (`tests/mesh/memberlist`), with
its defaults for a local network; `--write` puts the figures into docs/swim.md beside ours (those of 1,000 take an hour).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mesh.page import PEER, choose, read_options, write_table
from tests.mesh.table import FIGURES

SOURCE: Final = Path(__file__).parent / "memberlist"
BUILD_S: Final = 600
RUN_S: Final = 3600
HEAD: Final = "| what | members | memberlist | made by |\n| --- | --- | --- | --- |\n"

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    sizes: tuple[int, ...]
    describe: Callable[[Values], str]


def _load(of: Values) -> str:
    text = f"{of['messages']:.2f} datagrams and {of['dials']:.3f} streams, {of['kilobytes']:.2f} kB"
    return text + (f", at {of['updates']:.3f} restarts a second" if "updates" in of else "")


def _wrong(of: Values) -> str:
    return f"{of['buried']:.0f} held dead, {of['suspected']:.0f} accusations, in {of['hours']:.1f} member hours"


def _halves(of: Values) -> str:
    healed = "never" if of["healed"] < 0 else f"{of['healed']:.1f} s"
    return f"{healed}, after {of['buried']:.1f} s in which they buried each other"


THEIRS: Final[dict[str, Figure]] = {
    "rest": Figure((10, 100, 1000), _load),
    "churn": Figure((100,), _load),
    "detection": Figure(
        (10, 100, 1000),
        lambda of: f"{of['first']:.1f} at the first member; median {of['median']:.1f}, p99 {of['p99']:.1f} of all",
    ),
    "loss": Figure((100,), _wrong),
    "slow": Figure((100,), _wrong),
    "paused": Figure((100,), _wrong),
    "pair": Figure((20,), _wrong),
    "mass": Figure((100, 1000), lambda of: f"{of['seconds']:.1f} s"),
    "halves": Figure((20, 100), _halves),
}


def build(folder: Path) -> Path:
    go = shutil.which("go")
    if go is None:
        sys.exit("there is no Go on this machine; see https://go.dev/doc/install")
    binary = folder / "memberlist"
    subprocess.run([go, "test", "-c", "-o", str(binary), "."], cwd=SOURCE, timeout=BUILD_S, check=True)
    return binary


def measure(binary: Path, name: str, members: int, seed: int) -> Values:
    arguments = ["-test.run=TestFigure", f"-figure={name}", f"-members={members}", f"-seed={seed}"]
    done = subprocess.run([str(binary), *arguments], capture_output=True, text=True, timeout=RUN_S, check=False)
    if done.returncode:
        sys.exit(f"{name} with {members}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    values: Values = json.loads(done.stdout.splitlines()[0])
    return values


def main() -> int:
    options = read_options("python -m tests.mesh.peer", __doc__, THEIRS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hermes-memberlist-") as folder:
        binary = build(Path(folder))
        for name, figure, members in choose(options, THEIRS):
            began = time.monotonic()
            text = figure.describe(measure(binary, name, members, options.seed))
            title = FIGURES[name].title
            rows.append(f"| {title} | {members:,} | {text} | `python -m tests.mesh.peer {name} --members {members}` |")
            print(f"{title}, {members:,} members: {text} ({time.monotonic() - began:.0f} s)", flush=True)
    if options.write:
        write_table(PEER, HEAD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
