"""Debian packages the local cluster stands on: installs only what is missing, and starts none of their daemons."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import attempt, run
from .errors import HarnessError
from .progress import phase

if TYPE_CHECKING:
    from collections.abc import Iterator

APT_TIMEOUT_S = 900.0
POLICY = Path("/usr/sbin/policy-rc.d")
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Needed:
    """A package and the file that tells whether it is there."""

    package: str
    proof: str


NEEDED = (
    Needed("etcd-server", "/usr/bin/etcd"),
    Needed("containerd", "/usr/bin/containerd"),
    Needed("runc", "/usr/sbin/runc"),
    Needed("containernetworking-plugins", "/usr/lib/cni/bridge"),
    Needed("iptables", "/usr/sbin/iptables"),
    Needed("conntrack", "/usr/sbin/conntrack"),
    Needed("iproute2", "/usr/sbin/ip"),
    Needed("debootstrap", "/usr/sbin/debootstrap"),
    Needed("buildah", "/usr/bin/buildah"),
    Needed("prometheus", "/usr/bin/prometheus"),
    Needed("prometheus-alertmanager", "/usr/bin/prometheus-alertmanager"),
)


def missing_packages() -> list[str]:
    """Return the packages whose proof file is absent."""
    return [needed.package for needed in NEEDED if not Path(needed.proof).exists()]


def ensure_packages() -> None:
    """Install what is missing; needs root and a Debian system only when something is."""
    missing = missing_packages()
    if not missing:
        return
    by_hand = f"run `apt-get update && apt-get install --no-install-recommends {' '.join(missing)}` as root"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise HarnessError(f"missing: {', '.join(missing)}", by_hand)
    with phase(f"apt-get install {' '.join(missing)}"), _no_daemons():
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run(["apt-get", "update", "-q"], env=quiet, timeout_s=APT_TIMEOUT_S, cure="check the apt sources")
        run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
            env=quiet,
            timeout_s=APT_TIMEOUT_S,
            cure=by_hand,
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid package scripts to start services, unless the machine forbids it already; put back afterwards."""
    if POLICY.exists():
        forbids = attempt([POLICY, "hermes-e2e-probe", "start"]).returncode == 101
        if not forbids:
            raise HarnessError(f"{POLICY} lets packages start their daemons", "install the packages by hand first")
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
