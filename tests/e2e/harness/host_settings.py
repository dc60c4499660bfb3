"""What a cluster changes outside its own folders: kernel settings and a few fixed paths, put back after.

The records of all clusters lie together, whatever cache they are of, and only until a reboot, as the settings do.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .lock import wait_turn

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .paths import RunDir

# The first two are ours; the others are set by kubelet and kube-proxy without being asked.
SETTINGS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_SYS = Path("/proc/sys")
_RECORDS = Path("/run/hermes-e2e")
_LOCK = Path("/run/lock/hermes-e2e.lock")
# Paths that kubelet, containerd, Docker and the CNI library have compiled in. Those absent before are removed after,
# the folders only when empty: should somebody else have come to use one, it stays.
FIXED_FILES = ("/var/lib/kubelet/device-plugins/kubelet.sock",)
FIXED_FOLDERS = (
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/log/containers",
    "/run/containerd/s",
    "/run/containerd",
    "/run/docker/plugins",
    "/run/docker",
)


def _read() -> dict[str, str]:
    return {name: (_SYS / name).read_text().strip() for name in SETTINGS if (_SYS / name).exists()}


def remember(run: RunDir) -> None:
    """Write down what is there, unless a crashed run left its own, older and so truer, record.

    A cluster that runs beside this one has changed the machine already: what it wrote down is taken over.
    """
    with _turn():
        if _record(run).exists():
            return
        before = next(iter(_others(run)), None)
        if before is None:
            absent = [path for path in (*FIXED_FILES, *FIXED_FOLDERS) if not Path(path).exists()]
            before = {"settings": _read(), "absent": absent}
        _RECORDS.mkdir(mode=0o700, exist_ok=True)
        _record(run).write_text(json.dumps({**before, "root": str(run.root)}, indent=1))


def allow_forwarding() -> None:
    """Let packets pass between the bridge and the services' addresses, and kube-proxy's rules see those on the bridge."""
    for name in SETTINGS[:2]:
        if (_SYS / name).exists():
            (_SYS / name).write_text("1")


def put_back(run: RunDir) -> None:
    """Restore what differs from the record, and forget the record; while another cluster runs that is left to it."""
    if not _record(run).exists():
        return
    with _turn():
        if not _others(run):
            before = _parse(_record(run))
            if before is not None:
                _put_back_settings(before["settings"])
                _remove_paths(before["absent"])
        _record(run).unlink()
        with suppress(OSError):  # not empty: the record of another cluster
            _RECORDS.rmdir()


def _turn() -> AbstractContextManager[None]:
    """Let one cluster at a time look whether it is the first or the last."""
    return wait_turn(_LOCK, "another cluster that starts or ends")


def _record(run: RunDir) -> Path:
    return _RECORDS / f"{run.mark}.json"


def _others(run: RunDir) -> list[dict[str, Any]]:
    """Return the records of other clusters on this machine; one whose run folder somebody has deleted counts no more."""
    parsed = [_parse(path) for path in sorted(_RECORDS.glob("*.json")) if path != _record(run)]
    return [record for record in parsed if record is not None and Path(record["root"]).exists()]


def _parse(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record


def _put_back_settings(before: dict[str, str]) -> None:
    for name, value in _read().items():
        if name in before and before[name] != value:
            (_SYS / name).write_text(before[name])


def _remove_paths(absent: list[str]) -> None:
    for file in FIXED_FILES:
        if file in absent:
            Path(file).unlink(missing_ok=True)
    for folder in FIXED_FOLDERS:
        if folder in absent:
            with suppress(OSError):
                Path(folder).rmdir()
