"""The control groups of an engine: one parent of our own in each hierarchy, so that they can be told from those of others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.harness.paths import RunDir

ROOT = Path("/sys/fs/cgroup")
# All nodes together count as one against every other process of the machine; with the default a busy machine starves them.
SHARES = {"cpu.shares": "8192", "cpu.weight": "800"}


def parent_name(run_dir: RunDir) -> str:
    """Return the name of the parent; whatever is in it is killed at the end, so it must be of this run folder alone."""
    return f"hermes-e2e-{run_dir.root.name}-{run_dir.mark}"


def parents(run_dir: RunDir, root: Path = ROOT) -> list[Path]:
    """Return the parent in each hierarchy that has it: below the root with cgroup v2, else one folder further down."""
    name = parent_name(run_dir)
    return [folder for folder in (root / name, *sorted(root.glob(f"*/{name}"))) if folder.is_dir() and not folder.is_symlink()]


def raise_shares(run_dir: RunDir) -> None:
    """Make the parent in the hierarchy of CPU time, and give it more than one process has."""
    for hierarchy in (ROOT, ROOT / "cpu"):
        for name, value in SHARES.items():
            with suppress(OSError):  # the other version of control groups, or the controller is not given to us
                if (hierarchy / "cgroup.procs").exists():
                    parent = hierarchy / parent_name(run_dir)
                    parent.mkdir(exist_ok=True)
                    (parent / name).write_text(value)


def members(run_dir: RunDir) -> list[int]:
    """Return the processes in them."""
    files = [file for parent in parents(run_dir) for file in parent.rglob("cgroup.procs")]
    pids: set[int] = set()
    for file in files:
        with suppress(OSError):
            pids |= {int(pid) for pid in file.read_text().split()}
    return sorted(pids - {0})


def remove(run_dir: RunDir) -> None:
    """Remove the groups, the innermost first; the kernel refuses one that has members."""
    for parent in parents(run_dir):
        folders = sorted((path for path in parent.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)
        for folder in (*folders, parent):
            with suppress(OSError):
                folder.rmdir()
