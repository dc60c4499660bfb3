"""Kernel settings that a cluster changes: written down before, put back after."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .paths import RunDir

# The first is ours; the others are set by kubelet and kube-proxy without being asked.
SETTINGS = (
    "net/ipv4/ip_forward",
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


def _read() -> dict[str, str]:
    return {name: (_SYS / name).read_text().strip() for name in SETTINGS if (_SYS / name).exists()}


def remember(run: RunDir) -> None:
    """Write the settings down, unless a crashed run left its own, older and so truer, record."""
    if not run.host_settings.exists():
        run.host_settings.write_text(json.dumps(_read(), indent=1))


def allow_forwarding() -> None:
    """Let packets pass between the bridge and the services' addresses."""
    (_SYS / "net/ipv4/ip_forward").write_text("1")


def put_back(run: RunDir) -> None:
    """Restore what differs from the record, and forget the record."""
    with suppress(FileNotFoundError, json.JSONDecodeError):
        before: dict[str, str] = json.loads(run.host_settings.read_text())
        for name, value in _read().items():
            if name in before and before[name] != value:
                (_SYS / name).write_text(before[name])
    run.host_settings.unlink(missing_ok=True)
