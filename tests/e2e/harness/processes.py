"""Long-running processes: each in a session of its own, its identity written down, ended by that identity.

A pid alone is not an identity: after a crash or a reboot the number may belong to a stranger. The record
therefore holds the boot and the start time in clock ticks too, and a process is only ever signalled when
all three agree.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import HarnessError
from .wait import until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .paths import RunDir

TERM_GRACE_S = 10.0
OWNER_MARK = "HERMES_E2E_OWNER"
# Popen objects are kept: collecting one whose process runs on (as it is meant to) warns of a leak.
_STARTED_HERE: list[subprocess.Popen[bytes]] = []
KILL_GRACE_S = 10.0


@dataclass(frozen=True)
class Identity:
    """What makes a process this one and no other."""

    pid: int
    start_ticks: int
    boot_id: str

    def alive(self) -> bool:
        """Say whether this very process still runs (a zombie does not)."""
        return identify(self.pid) == self


def boot_id() -> str:
    """Return the identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on (the name before it may hold spaces)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process, or None when it is gone or a zombie."""
    fields = stat_fields(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return Identity(pid, int(fields[19]), boot_id())


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    found = []
    for candidate in all_pids():
        fields = stat_fields(candidate)
        if fields is not None and int(fields[1]) == pid:
            found.append(candidate)
    return found


def descendants(pid: int) -> list[int]:
    """Return every process below a process, the deepest last."""
    found = children(pid)
    for child in list(found):
        found.extend(descendants(child))
    return found


def all_pids() -> list[int]:
    """Return the pids of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def environment(pid: int) -> list[bytes]:
    """Return the settings a process was started with; empty when it is gone or hidden."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def command_line(pid: int) -> list[str]:
    """Return the words a process was started with; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def signal_identity(identity: Identity, number: signal.Signals, *, group: bool) -> None:
    """Signal a process, or the session it leads, after checking that it is still the same one."""
    if not identity.alive():
        return
    with suppress(ProcessLookupError):
        if group:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)


def end(identity: Identity, name: str, *, group: bool) -> None:
    """Ask a process to end, insist after a while, and return when it is gone."""
    with suppress(HarnessError):
        signal_identity(identity, signal.SIGTERM, group=group)
        until(f"end of {name}", lambda: not identity.alive(), within_s=TERM_GRACE_S, cure="it is killed next")
        return
    kill(identity, name, group=group)


def kill(identity: Identity, name: str, *, group: bool) -> None:
    """SIGKILL a process and return when it is gone."""
    signal_identity(identity, signal.SIGKILL, group=group)
    until(
        f"end of {name} (pid {identity.pid})",
        lambda: not identity.alive(),
        within_s=KILL_GRACE_S,
        cure=f"look at /proc/{identity.pid}/status for what holds it",
    )


@dataclass(frozen=True)
class Processes:
    """The processes of one run folder."""

    run: RunDir

    def start(self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Identity:
        """Start a process in its own session, its output in `logs/NAME.log`, and write its identity down."""
        words = [str(word) for word in argv]
        with (self.run.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                close_fds=True,
                env={**os.environ, **(env or {}), OWNER_MARK: str(self.run.root)},
                cwd=self.run.root,
            )
        _STARTED_HERE.append(child)
        identity = identify(child.pid)
        if identity is None:
            raise HarnessError(f"{name} ended at once", f"read {self.log(name)}")
        record = self.run.pids / f"{name}.json"
        record.write_text(json.dumps({**asdict(identity), "argv": words}))
        return identity

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.run.logs / f"{name}.log"

    def names(self) -> list[str]:
        """Return the names of all recorded processes."""
        return sorted(path.stem for path in self.run.pids.glob("*.json"))

    def identity(self, name: str) -> Identity | None:
        """Return the recorded identity of a process."""
        try:
            record = json.loads((self.run.pids / f"{name}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return Identity(int(record["pid"]), int(record["start_ticks"]), str(record["boot_id"]))

    def alive(self, name: str) -> bool:
        """Say whether the recorded process runs."""
        identity = self.identity(name)
        return identity is not None and identity.alive()

    def require_alive(self, name: str) -> None:
        """Fail, with the last line of its log, when a process has ended."""
        if not self.alive(name):
            text = self.log(name).read_text(errors="replace") if self.log(name).exists() else ""
            last = (text.strip().splitlines() or ["no output"])[-1]
            raise HarnessError(f"{name} ended: {last[:300]}", f"read {self.log(name)}")

    def marked(self) -> list[Identity]:
        """Return everything that carries this run folder's mark in its environment: what was started here and its children.

        Finds too what a crash kept from being recorded. No process of anybody else carries the mark.
        """
        mark = f"{OWNER_MARK}={self.run.root}".encode()
        identities = [identify(pid) for pid in all_pids() if mark in environment(pid)]
        return [identity for identity in identities if identity is not None]

    def stop(self, name: str) -> None:
        """End a recorded process and everything in its session, then forget it."""
        identity = self.identity(name)
        if identity is not None:
            end(identity, name, group=True)
        (self.run.pids / f"{name}.json").unlink(missing_ok=True)
