"""kind's base image: our Debian, the files that kind's own module ships for it, and a container runtime as it wants it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import run
from tests.e2e.harness.errors import HarnessError

if TYPE_CHECKING:
    from pathlib import Path

    from .engine import Engine

TAG = "localhost/hermes-e2e-kind-base:1"
IMPORTED = "localhost/hermes-e2e-kind-root:1"
IMPORT_S = 300.0

# Units that make no sense in a container, and those that a package enabled: the list of kind's base Dockerfile.
REMOVED_UNITS = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)
ENABLED_UNITS = ("kubelet.service", "containerd.service", "undo-mount-hacks.service")
CNI_PLUGINS = ("host-local", "loopback", "ptp", "portmap")
PRODUCT_HOOK = "/kind/bin/mount-product-files.sh"

# Debian's ctr is older than kind expects: it has no `info`, and its `import` knows no --label.
_CTR = """\
#!/bin/bash
[ "$1" = info ] && set -- version
words=()
for word in "$@"; do
  case $word in --label=io.cri-containerd.pinned=*) ;; *) words+=("$word") ;; esac
done
exec /usr/bin/ctr "${words[@]}"
"""

_DOCKERFILE = f"""\
FROM {IMPORTED}
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"""


@dataclass(frozen=True)
class BaseImage:
    """Turns a copy of the root file system into the image; `kind_files` is images/base/files of kind's module."""

    root: Path
    kind_files: Path

    def prepare(self) -> None:
        """Do to the folder what kind's Dockerfile does."""
        self._copy_kind_files()
        self._choose_units()
        self._install_runtime()
        self._allow_ordinary_root()

    def load(self, engine: Engine) -> None:
        """Give the folder to the engine as an image."""
        with subprocess.Popen(["tar", "-C", self.root, "-c", "."], stdout=subprocess.PIPE) as packed:
            done = subprocess.run(
                ["docker", "import", "-", IMPORTED],
                env=engine.environment,
                stdin=packed.stdout,
                capture_output=True,
                text=True,
                timeout=IMPORT_S,
                check=False,
            )
        if done.returncode != 0 or packed.returncode != 0:
            raise HarnessError(f"the base image was not imported: {done.stderr.strip()[-300:]}", "read dockerd.log")
        engine.run("build", "--quiet", "--tag", TAG, "-", stdin=_DOCKERFILE)

    def _copy_kind_files(self) -> None:
        # File by file and by content only: in the module cache nothing is writable.
        for source in sorted(self.kind_files.rglob("*")):
            if source.is_file():
                target = self.root / source.relative_to(self.kind_files)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                program = target.parent.name == "bin"
                target.chmod(0o755 if program else 0o644)

    def _choose_units(self) -> None:
        for pattern in REMOVED_UNITS:
            for unit in self.root.glob(pattern):
                unit.unlink()
        with (self.root / "etc/systemd/journald.conf").open("a") as settings:
            settings.write("ReadKMsg=no\n")
        init = self.root / "sbin/init"
        init.unlink(missing_ok=True)
        init.symlink_to("/lib/systemd/systemd")
        self._chroot("systemctl", "enable", *ENABLED_UNITS)
        self._chroot("systemctl", "mask", "systemd-binfmt.service")

    def _install_runtime(self) -> None:
        for name in ("containerd", "containerd-shim-runc-v2"):
            (self.root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
        (self.root / "usr/local/sbin/runc").symlink_to("/usr/sbin/runc")
        ctr = self.root / "usr/local/bin/ctr"
        ctr.write_text(_CTR)
        ctr.chmod(0o755)
        plugins = self.root / "opt/cni/bin"
        plugins.mkdir(parents=True)
        for name in CNI_PLUGINS:
            shutil.copy2(self.root / "usr/lib/cni" / name, plugins / name)
        (self.root / "etc/kubernetes/manifests").mkdir(parents=True, exist_ok=True)
        spec = json.loads(self._chroot("ctr", "oci", "spec"))
        (self.root / "etc/containerd/cri-base.json").write_text(json.dumps(adapt_spec(spec)))

    def _allow_ordinary_root(self) -> None:
        """Ask for no lower oom score: it is refused to a root without CAP_SYS_RESOURCE, and needed by no test."""
        config = self.root / "etc/containerd/config.toml"
        text = config.read_text()
        changed = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
        if changed == text:
            raise HarnessError(f"{config} of kind has no restrict_oom_score_adj any more", "see what took its place")
        config.write_text(changed)
        unit = self.root / "etc/systemd/system/containerd.service"
        unit.write_text(re.sub(r"(?m)^OOMScoreAdjust=.*\n", "", unit.read_text()))

    def _chroot(self, *words: str) -> str:
        return run(["chroot", self.root, *words], cure=f"run it by hand in {self.root}")


def adapt_spec(spec: dict[str, object]) -> dict[str, object]:
    """Return containerd's default container with what kind changes in it: one hook more, no limits."""
    process = spec["process"]
    assert isinstance(process, dict)
    hooks = spec.setdefault("hooks", {})
    assert isinstance(hooks, dict)
    process.pop("rlimits", None)
    hooks.setdefault("createContainer", []).append({"path": PRODUCT_HOOK})
    return spec
