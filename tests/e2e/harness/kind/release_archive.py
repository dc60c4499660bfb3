"""A release of Kubernetes as `kind build node-image --type file` takes it, made of programs that were built here.

The images that kind would pull (etcd, CoreDNS, pause, its network and its storage) travel in the archive of the apiserver:
what is in an archive counts as built, and is not pulled.
"""

from __future__ import annotations

import gzip
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import run
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.versions import KUBERNETES_VERSION

from .image_archive import Content, Image, add_bytes, add_file, make_image, write_archive
from .packet_filter import with_packet_filter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.harness.tools import Tools

SERVER_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
# What the storage's helper does to folders, and a look-up of names for the probe of `up`.
BUSYBOX_NAMES = ("sh", "mkdir", "rm", "chmod", "ls", "cat", "sleep", "nslookup")
TMP = ("tmp",)
HELPER = "local-path-helper"  # the storage's: the image with a shell that every node has


@dataclass(frozen=True)
class ReleaseArchive:
    """What it is made of: built programs, a root file system, the pause program, and kind's module for the tags it expects."""

    tools: Tools
    root: Path
    pause: Path
    kind_module: Path

    def write(self, target: Path, scratch: Path) -> None:
        """Write the archive; the scratch folder needs room for all layers twice."""
        archives = {name: [self._server(name, scratch)] for name in SERVER_PROGRAMS}
        archives["kube-apiserver"] += self._others(scratch)
        archives["kube-proxy"] = [make_image(self._needed("kube-proxy"), self._proxy(), scratch)]
        with gzip.open(target, "wb", compresslevel=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
            add_bytes(tar, "kubernetes/version", KUBERNETES_VERSION.encode())
            for name in NODE_PROGRAMS:
                add_file(tar, f"kubernetes/server/bin/{name}", self.tools.path(name))
            for name, images in archives.items():
                archive = scratch / f"{name}.tar"
                write_archive(archive, images)
                add_file(tar, f"kubernetes/server/bin/{name}.tar", archive, 0o644)
                archive.unlink()

    def _server(self, name: str, scratch: Path) -> Image:
        return make_image(self._needed(name), Content({f"usr/local/bin/{name}": self.tools.path(name)}, folders=TMP), scratch)

    def _others(self, scratch: Path) -> list[Image]:
        path = self.tools.path
        contents = {
            self._needed("etcd"): Content({"usr/local/bin/etcd": path("etcd")}),
            self._needed("coredns"): Content({"coredns": path("coredns")}, entrypoint=("/coredns",)),
            sandbox_tag(self.kind_module): Content({"pause": self.pause}, entrypoint=("/pause",)),
            image_tag(self.kind_module, "kindnetdImage"): Content(
                {"bin/kindnetd": path("kindnetd")}, folders=TMP, entrypoint=("/bin/kindnetd",)
            ),
            image_tag(self.kind_module, "storageProvisionerImage"): Content(
                {"usr/bin/local-path-provisioner": path("local-path-provisioner")}, folders=TMP
            ),
            image_tag(self.kind_module, "storageHelperImage"): Content(
                {"bin/busybox": self.root / "bin/busybox"}, links={f"bin/{name}": "busybox" for name in BUSYBOX_NAMES}
            ),
        }
        return [make_image(tag, content, scratch) for tag, content in contents.items()]

    def _proxy(self) -> Content:
        return with_packet_filter(self.root, {"usr/local/bin/kube-proxy": self.tools.path("kube-proxy")})

    def _needed(self, word: str) -> str:
        """Return the tag under which kubeadm expects an image."""
        listed = run(
            [self.tools.path("kubeadm"), "config", "images", "list", "--kubernetes-version", KUBERNETES_VERSION],
            cure="delete kubeadm from the cache to have it built again",
        )
        return find_tag(listed.split(), word)


def find_tag(tags: list[str], word: str) -> str:
    """Return the tag of the image of that name."""
    found = next((tag for tag in tags if f"/{word}:" in tag), None)
    if found is None:
        raise HarnessError(f"no image {word} among {', '.join(tags) or 'none'}", "see what the pinned version calls it")
    return found


def image_tag(kind_module: Path, constant: str) -> str:
    """Return the tag that a constant of kind's sources gives to an image."""
    sources = "".join(path.read_text() for path in sorted((kind_module / "pkg/build/nodeimage").glob("const_*.go")))
    return _required(rf'{constant}\s*=\s*"([^"]+)"', sources, constant)


def sandbox_tag(kind_module: Path) -> str:
    """Return the tag of the pause image in kind's configuration of containerd."""
    config = (kind_module / "images/base/files/etc/containerd/config.toml").read_text()
    return _required(r'sandbox_image = "([^"]+)"', config, "sandbox_image")


def _required(pattern: str, text: str, name: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise HarnessError(f"kind's sources have no {name}", "see what the pinned version calls it")
    return found[1]
