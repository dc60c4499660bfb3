"""What a run folder's processes leave behind, whatever kind of cluster it was: strays, shims, mounts, logs; and ending it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .errors import RefusedError
from .processes import Identity, Processes, all_pids, command_line, descendants, identify, kill

if TYPE_CHECKING:
    from .paths import RunDir

SHIM = "containerd-shim"
TASKS = "io.containerd.runtime.v2.task"


def strays(run_dir: RunDir) -> list[str]:
    """Return processes that carry our mark, or whose command line names a path in the run folder."""
    below = f"{run_dir.root}/"
    named = {pid for pid in all_pids() if any(below in word for word in command_line(pid))}
    marked = {identity.pid for identity in Processes(run_dir).marked()}
    return [f"{pid} {' '.join(command_line(pid))[:120]}" for pid in sorted(named | marked)]


def refuse_ailing(run_dir: RunDir, ailment: str, *, cure: str) -> None:
    """Fail when a cluster that came up once still runs, whatever ails it: it is somebody's, and no wreck of a start."""
    processes = Processes(run_dir)
    runs = any(processes.alive(name) for name in processes.names()) or bool(processes.marked())
    if run_dir.came_up.exists() and runs:
        raise RefusedError(f"a cluster is there that is not ready: {ailment}", cure)


def shims(containerd_socket: Path) -> list[Identity]:
    """Return the container shims of our containerd: they outlive it by design, each with its containers."""
    found = []
    for pid in all_pids():
        words = command_line(pid)
        if words and Path(words[0]).name.startswith(SHIM) and str(containerd_socket) in words:
            identity = identify(pid)
            if identity is not None:
                found.append(identity)
    return found


def end_shim(shim: Identity) -> None:
    """Kill what runs in the shim's containers, then the shim."""
    for pid in descendants(shim.pid):
        identity = identify(pid)
        if identity is not None:
            kill(identity, f"container process {pid}", group=False)
    kill(shim, "container shim", group=False)  # it does not hear SIGTERM


def shim_sockets(containerd: Path) -> list[Path]:
    """Return the sockets of the shims, as containerd's folder has them."""
    tasks = containerd.glob(f"state/{TASKS}/*/*/address")
    return [Path(task.read_text().strip().removeprefix("unix://")) for task in tasks]


def mounts(run_dir: RunDir) -> list[tuple[str, str]]:
    """Return the mount points below the run folder with their types, the deepest first."""
    return mounts_below(run_dir.root)


def mounts_below(folder: Path) -> list[tuple[str, str]]:
    """Return the mount points below a folder with their types, the deepest first."""
    below = f"{folder}/"
    fields = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    points = [(field[1].encode().decode("unicode_escape"), field[2]) for field in fields]
    return sorted((point for point in points if point[0].startswith(below)), key=lambda point: len(point[0]), reverse=True)


def unmount(run_dir: RunDir) -> None:
    """Take them all away."""
    unmount_below(run_dir.root)


def unmount_below(folder: Path) -> None:
    """Take away everything that is mounted below a folder."""
    for point, _ in mounts_below(folder):
        run(["umount", "--lazy", point], cure=f"see who holds it: `grep {point} /proc/*/mounts`")


def keep_logs(run_dir: RunDir) -> None:
    """Move the logs beside the run folder, where they stay until the next cluster ends."""
    if run_dir.logs.is_dir():
        shutil.rmtree(run_dir.kept_logs, ignore_errors=True)
        run_dir.logs.rename(run_dir.kept_logs)
