"""The two images nothing can be pulled for: the pause image and a Debian with Python."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .apt_sources import debian_mirror
from .buildah import Buildah, remove_tree
from .commands import run
from .partial import made_beside
from .paths import Cache
from .progress import phase
from .versions import BASE_IMAGE, PAUSE_IMAGE

SUITE = BASE_IMAGE.rpartition(":")[2]
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
DEBOOTSTRAP_TIMEOUT_S = 900.0
WASTE = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")

# Holds the pod's namespaces open, reaps what is re-parented to it, and ends when asked.
_PAUSE_C = """\
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void on_end(int number) { (void)number; _exit(0); }
static void on_child(int number) { (void)number; while (waitpid(-1, NULL, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, on_end); signal(SIGTERM, on_end); signal(SIGCHLD, on_child);
  for (;;) pause();
}
"""


@dataclass(frozen=True)
class BaseImages:
    """Archives of the images, made on first use."""

    cache: Cache

    @property
    def pause(self) -> Path:
        """The archive of the pause image."""
        return self.cache.images / "pause.tar"

    @property
    def base(self) -> Path:
        """The archive of the base image."""
        return self.cache.images / f"base-{SUITE}.tar"

    def ensure(self) -> None:
        """Make what is missing."""
        self.cache.images.mkdir(parents=True, exist_ok=True)
        buildah = Buildah(self.cache)
        if not self.pause.exists():
            with phase("build the pause image"):
                self._build_pause(buildah)
        if not self.base.exists():
            with phase(f"build the base image (debootstrap {SUITE})"):
                self._build_base(buildah)
        elif not buildah.has(BASE_IMAGE):
            with phase("take the base image from its archive"):
                buildah.pull(self.base, BASE_IMAGE)

    def _build_pause(self, buildah: Buildah) -> None:
        with tempfile.TemporaryDirectory(dir=self.cache.images) as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            build_pause(root / "pause")
            buildah.commit_folder(root, PAUSE_IMAGE, "--entrypoint", '["/pause"]', "--user", "65535")
            buildah.save(PAUSE_IMAGE, self.pause)

    def _build_base(self, buildah: Buildah) -> None:
        with made_beside(self.cache.images / f"base-{SUITE}") as root:
            run(
                ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, root, debian_mirror(SUITE)],
                timeout_s=DEBOOTSTRAP_TIMEOUT_S,
                cure="run it by hand, and read debootstrap/debootstrap.log in its folder",
            )
            for waste in WASTE:
                remove_tree(root / waste)
            (root / "var/lib/apt/lists/partial").mkdir(parents=True)
            buildah.commit_folder(root, BASE_IMAGE, "--cmd", "python3", "--env", "LANG=C.UTF-8")
            buildah.save(BASE_IMAGE, self.base)


def build_pause(target: Path) -> None:
    """Compile the program of the pause image."""
    compiler: list[str | Path] = ["gcc", "-Os", "-static", "-s", "-x", "c", "-o", target, "-"]
    run(compiler, stdin=_PAUSE_C, cure="install gcc and libc6-dev")
