"""buildah without a daemon, a registry or a user namespace: image storage of our own in the cache."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .commands import attempt, run
from .errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .paths import Cache

# vfs and chroot need nothing of the kernel beyond root; overlay and namespaces are refused on many build machines.
# The driver is a flag, not the variable STORAGE_DRIVER: `--root` makes buildah ignore that one.
DRIVER = "vfs"
ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot"}
BUILD_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Buildah:
    """A buildah with its storage in the cache."""

    cache: Cache

    def run(self, *words: str | Path) -> str:
        """Run one buildah command."""
        return run(
            self.argv(*words),
            env=ENVIRONMENT,
            timeout_s=BUILD_TIMEOUT_S,
            cure=f"if its storage is damaged, delete {self.cache.buildah}",
        ).strip()

    def build(self, log: Path, *words: str | Path) -> None:
        """Run a build, its whole output in a file: the reason of a failure is seldom in its last line."""
        log.parent.mkdir(parents=True, exist_ok=True)
        done = attempt(self.argv("bud", *words), env=ENVIRONMENT, timeout_s=BUILD_TIMEOUT_S)
        log.write_text(f"{done.stdout}\n{done.stderr}")
        if done.returncode != 0:
            told = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if "rror" in line]
            raise HarnessError(f"the image build failed: {' | '.join(told[:3])[:400]}", f"read {log}")

    def pull(self, archive: Path, tag: str) -> None:
        """Take an image from an archive that `save` wrote."""
        self.run("pull", "--quiet", f"oci-archive:{archive}:{tag}")

    def argv(self, *words: str | Path) -> Sequence[str | Path]:
        """Return the full command; callers set `ENVIRONMENT`."""
        storage = self.cache.buildah
        return ["buildah", "--storage-driver", DRIVER, "--root", storage / "root", "--runroot", storage / "run", *words]

    def has(self, tag: str) -> bool:
        """Say whether the storage holds an image."""
        return attempt(self.argv("inspect", "--type", "image", tag), env=ENVIRONMENT).returncode == 0

    def commit_folder(self, folder: Path, tag: str, *config: str) -> None:
        """Make an image of one layer out of a folder."""
        container = self.run("from", "scratch")
        try:
            self.run("add", "--quiet", container, folder, "/")
            if config:
                self.run("config", *config, container)
            self.run("commit", "--quiet", "--rm", container, tag)
        except BaseException:
            attempt(self.argv("rm", container), env=ENVIRONMENT)
            raise

    def save(self, tag: str, archive: Path) -> None:
        """Write an image as an oci-archive that appears only when it is whole."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        self.run("push", "--quiet", tag, f"oci-archive:{partial}:{tag}")
        partial.rename(archive)

    def prune(self) -> None:
        """Drop images that lost their tag to a newer build: vfs keeps each as a whole copy."""
        self.run("rmi", "--prune", "--force")


def remove_tree(folder: Path) -> None:
    """Remove a folder that may not be there."""
    if folder.exists():
        shutil.rmtree(folder)
