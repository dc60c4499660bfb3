"""What a cluster changes outside its own folders: kernel settings and a few fixed paths, put back after."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

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

    A cluster that runs beside this one has changed the machine already: its record is taken over.
    """
    with _turn(run):
        if run.host_settings.exists():
            return
        for other in _others(run):
            run.host_settings.write_text(other.read_text())
            return
        absent = [path for path in (*FIXED_FILES, *FIXED_FOLDERS) if not Path(path).exists()]
        run.host_settings.write_text(json.dumps({"settings": _read(), "absent": absent}, indent=1))


def allow_forwarding() -> None:
    """Let packets pass between the bridge and the services' addresses, and kube-proxy's rules see those on the bridge."""
    for name in SETTINGS[:2]:
        if (_SYS / name).exists():
            (_SYS / name).write_text("1")


def put_back(run: RunDir) -> None:
    """Restore what differs from the record, and forget the record; while another cluster runs that is left to it."""
    if not run.host_settings.exists():
        return
    with _turn(run):
        if not _others(run):
            with suppress(json.JSONDecodeError):
                before = json.loads(run.host_settings.read_text())
                _put_back_settings(before["settings"])
                _remove_paths(before["absent"])
        run.host_settings.unlink()


def _turn(run: RunDir) -> AbstractContextManager[None]:
    """Let one cluster at a time look whether it is the first or the last."""
    return wait_turn(run.root.parent / "host-settings.lock", "another cluster that starts or ends")


def _others(run: RunDir) -> list[Path]:
    """Return the records of other clusters on this machine: their run folders lie beside this one."""
    records = run.root.parent.glob(f"*/{run.host_settings.name}")
    return [record for record in records if record != run.host_settings]


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
