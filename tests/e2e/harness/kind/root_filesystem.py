"""The Debian that a node consists of: made once with debootstrap, kept in the cache, copied from there."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.harness.apt_sources import debian_mirror
from tests.e2e.harness.base_images import DEBOOTSTRAP_TIMEOUT_S, SUITE, WASTE
from tests.e2e.harness.buildah import remove_tree
from tests.e2e.harness.commands import run
from tests.e2e.harness.partial import made_beside
from tests.e2e.harness.progress import phase

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.harness.paths import Cache

# What kind's own Dockerfile of the base image installs, as far as a test cluster uses it, and the container runtime.
PACKAGES = (
    "bash",
    "busybox-static",
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "jq",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "procps",
    "runc",
    "systemd",
    "util-linux",
)


@dataclass(frozen=True)
class RootFilesystem:
    """The folder in the cache; nothing changes it once it is there."""

    cache: Cache

    @property
    def folder(self) -> Path:
        """Where it is, or will be: another list of packages is another folder."""
        key = hashlib.sha256(" ".join([SUITE, *PACKAGES]).encode()).hexdigest()[:12]
        return self.cache.root / "kind" / f"root-{SUITE}-{key}"

    def ensure(self) -> None:
        """Make it when it is missing."""
        if self.folder.exists():
            return
        with made_beside(self.folder) as partial:
            with phase(f"debootstrap {SUITE} for the nodes"):
                include = f"--include={','.join(PACKAGES)}"
                run(
                    ["debootstrap", "--variant=minbase", include, SUITE, partial, debian_mirror(SUITE)],
                    timeout_s=DEBOOTSTRAP_TIMEOUT_S,
                    cure="run it by hand, and read debootstrap/debootstrap.log in its folder",
                )
                for waste in WASTE:
                    remove_tree(partial / waste)
                (partial / "var/lib/apt/lists/partial").mkdir(parents=True)
            partial.rename(self.folder)

    def copy_to(self, target: Path) -> None:
        """Copy all of it, with owners and links as they are."""
        shutil.rmtree(target, ignore_errors=True)
        run(["cp", "--archive", self.folder, target], cure="is the disk full?")
