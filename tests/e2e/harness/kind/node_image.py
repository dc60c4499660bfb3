"""The image that every node runs: built by kind itself from what was made here, kept as one archive in the cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import base_images, host_settings, tools, versions
from tests.e2e.harness.base_images import build_pause
from tests.e2e.harness.commands import run
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.interruption import finishing, obey_noted
from tests.e2e.harness.lock import refuse_second, wait_turn
from tests.e2e.harness.partial import made_beside
from tests.e2e.harness.paths import TOOLS_MODULE, RunDir
from tests.e2e.harness.progress import phase
from tests.e2e.harness.tools import KIND_TOOLS, Tools, own_sources
from tests.e2e.harness.undo import taken_down_on_failure
from tests.e2e.harness.versions import KIND_VERSION, KUBERNETES_VERSION

from . import base_image, image_archive, libraries, packet_filter, release_archive, root_filesystem
from .base_image import BaseImage
from .engine import Engine
from .release_archive import ReleaseArchive
from .root_filesystem import RootFilesystem
from .teardown import KindTeardown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.harness.paths import Cache

TAG = f"localhost/hermes-e2e-node:{KUBERNETES_VERSION}"
BUILD_S = 600.0
KEPT = 2  # archives: two checkouts that differ may take turns
# The files that decide what is in the image. kind's and Kubernetes' own are decided by their versions.
MAKERS = (base_image, base_images, image_archive, libraries, packet_filter, release_archive, root_filesystem, tools, versions)


@dataclass(frozen=True)
class NodeImage:
    """The archive of the node image."""

    cache: Cache
    run_dir: RunDir

    @classmethod
    def default(cls, cache: Cache) -> NodeImage:
        """Return the image of this checkout, built in a run folder of its own."""
        return cls(cache, RunDir.default("-kind-image"))

    @property
    def archive(self) -> Path:
        """Where it is, or will be."""
        return self.cache.images / f"kind-node-{build_key(_ingredients())}.tar"

    def ensure(self) -> bool:
        """Build it unless it is there, and say whether it had to be."""
        if self.archive.exists():
            return False
        with wait_turn(self.run_dir.lock, "another build of the node image"):
            if self.archive.exists():
                return False
            Tools(self.cache).ensure(KIND_TOOLS)
            RootFilesystem(self.cache).ensure()
            with phase("node image"):
                self._build()
            _keep_newest(self.cache.images)
        return True

    def clean_up(self) -> None:
        """Take down what a build that was killed has left; one that is at work is left alone."""
        if self.run_dir.root.exists():
            with refuse_second(self.run_dir.lock, "a build of the node image"):
                KindTeardown(self.run_dir).all()

    def _build(self) -> None:
        teardown = KindTeardown(self.run_dir)
        if self.run_dir.root.exists():
            teardown.all()
        self.run_dir.make()
        host_settings.remember(self.run_dir)
        with taken_down_on_failure(self.run_dir, teardown.all, cure="run `make e2e-down CLUSTER=kind`"):
            # Its folder goes with the run folder: unlike that, it holds nothing that is mounted.
            self._build_in(Path(tempfile.mkdtemp(dir=self.run_dir.root)))
        with finishing():
            teardown.all()
        obey_noted()

    def _build_in(self, scratch: Path) -> None:
        engine, module, root = Engine(self.run_dir), kind_module(), RootFilesystem(self.cache)
        with phase("engine"):
            engine.start()
        with phase("base image"):
            copy = scratch / "root"
            root.copy_to(copy)
            base = BaseImage(copy, module / "images/base/files")
            base.prepare()
            base.load(engine)
        with phase("release archive"):
            build_pause(scratch / "pause")
            layers = scratch / "layers"
            layers.mkdir()
            release = scratch / "kubernetes-server.tar.gz"
            ReleaseArchive(Tools(self.cache), root.folder, scratch / "pause", module).write(release, layers)
        with phase("kind build node-image"):
            words: list[str | Path] = [
                "build",
                "node-image",
                "--type",
                "file",
                release,
                "--base-image",
                base_image.TAG,
                "--image",
                TAG,
            ]
            run(
                engine.namespace.argv(Tools(self.cache).path("kind"), *words),
                env={**engine.environment, "TMPDIR": str(scratch)},
                timeout_s=BUILD_S,
                cure=f"read {self.run_dir.kept_logs}/dockerd.log",
            )
        with phase("save the node image"):
            save(engine, self.archive)


def save(engine: Engine, archive: Path) -> None:
    """Write the image to its archive, which appears only when it is whole; the run folder may be on another disk."""
    with made_beside(archive) as partial:
        engine.run("save", "--output", partial, TAG)
        partial.rename(archive)


def build_key(ingredients: Iterable[tuple[str, bytes]]) -> str:
    """Return the key of everything that decides what is in the image, whatever order it comes in."""
    digest = hashlib.sha256()
    for name, content in sorted(ingredients):
        digest.update(json.dumps([name, hashlib.sha256(content).hexdigest()]).encode())
    return digest.hexdigest()[:16]


def _ingredients() -> list[tuple[str, bytes]]:
    makers = [Path(__file__), *(Path(str(module.__file__)) for module in MAKERS)]
    versions = f"{KUBERNETES_VERSION} {KIND_VERSION}"
    files = [*makers, *own_sources("kindnetd"), TOOLS_MODULE / "go.mod"]
    return [("versions", versions.encode()), *((path.name, path.read_bytes()) for path in files)]


def kind_module() -> Path:
    """Return the folder of kind's module, whose base files and image tags are used as they are."""
    told = run(["go", "mod", "download", "-json", f"sigs.k8s.io/kind@{KIND_VERSION}"], cwd=TOOLS_MODULE, cure="is Go there?")
    folder = json.loads(told).get("Dir")
    if not folder:
        raise HarnessError("kind's module was not downloaded", "see `go env GOPROXY`")
    return Path(folder)


def _keep_newest(folder: Path) -> None:
    archives = sorted(folder.glob("kind-node-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[KEPT:]:
        old.unlink()
