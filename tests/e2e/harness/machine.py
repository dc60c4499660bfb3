"""What a cluster of our own asks of the machine before it starts: root, the system's programs, short paths."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from .errors import HarnessError

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SOCKET_PATH_LIMIT = 107
# The names of Go and of image manifests for what the kernel says.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def require_root() -> None:
    """Fail for any other user."""
    if os.geteuid() != 0:
        raise HarnessError("a cluster of our own makes network namespaces and mounts", "run it as root")


def use_system_path() -> None:
    """Find iptables, ip and runc although a user's PATH seldom has the sbin folders."""
    present = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join([*present, *[p for p in SYSTEM_PATH.split(":") if p not in present]])


def require_short_path(longest: Path) -> None:
    """Fail when a unix socket could not be bound at its path."""
    if len(str(longest)) > SOCKET_PATH_LIMIT:
        raise HarnessError(f"{longest} is too long for a unix socket", "set HERMES_E2E_RUN_DIR shorter")


def architecture() -> str:
    """Return this machine's architecture as image manifests name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())
