"""Debian packages the clusters stand on: installs only what is missing, and starts none of their daemons."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import attempt, run
from .errors import HarnessError
from .machine import SYSTEM_PATH
from .progress import phase

if TYPE_CHECKING:
    from collections.abc import Iterator

APT_TIMEOUT_S = 900.0
POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Needed:
    """A package, and the program or file that tells whether it is there; a program may lie anywhere in the system's path."""

    package: str
    proof: str

    def is_there(self) -> bool:
        """Say whether it is there, from this package or from another."""
        return shutil.which(self.proof, path=SYSTEM_PATH) is not None or Path(f"/{self.proof}").is_file()


IMAGES = (
    Needed("debootstrap", "debootstrap"),
    Needed("debian-archive-keyring", "usr/share/keyrings/debian-archive-keyring.gpg"),  # absent on relatives of Debian
    Needed("buildah", "buildah"),
    Needed("gcc", "gcc"),
    Needed("libc6-dev", "usr/include/stdlib.h"),
)
CLUSTER = (
    *IMAGES,
    Needed("containerd", "containerd"),
    Needed("runc", "runc"),
    Needed("iptables", "iptables"),
    Needed("iproute2", "ip"),
    Needed("prometheus", "prometheus"),
    Needed("prometheus-alertmanager", "prometheus-alertmanager"),
)
LOCAL = (
    *CLUSTER,
    Needed("etcd-server", "etcd"),
    Needed("containernetworking-plugins", "usr/lib/cni/bridge"),
    Needed("conntrack", "conntrack"),
)
KIND = (*CLUSTER, Needed("docker.io", "dockerd"))
DOCKER_CLIENT = (Needed("docker-cli", "docker"),)  # a package of its own since Debian 13; before, it came with docker.io


def ensure_packages(wanted: tuple[Needed, ...]) -> None:
    """Install what is missing; needs root and a Debian system only when something is."""
    missing = [needed.package for needed in wanted if not needed.is_there()]
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
