"""Image archives as `docker save` writes them, made of files that are here already: one image is one layer.

kind reads only the first list of tags in an archive, and pulls every image that it did not find so: `repositories`, which
can name many, has to come before `manifest.json`, of which it would take the first image alone.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.e2e.harness.machine import architecture

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BLOCK = 1 << 20
COMPRESSION = 1


@dataclass(frozen=True)
class Content:
    """What an image holds: `files` by their path in it, `links` by theirs to where they lead, and empty `folders`."""

    files: dict[str, Path]
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()

    def all_folders(self) -> list[str]:
        """Return every folder that must be there, a parent before what is in it."""
        parents = {str(parent) for path in (*self.files, *self.links) for parent in PurePosixPath(path).parents}
        return sorted({*parents - {"."}, *self.folders})


@dataclass(frozen=True)
class Image:
    """An image ready to be put into an archive."""

    tag: str
    config: bytes
    layer: Path
    layer_digest: str

    @property
    def config_name(self) -> str:
        """The name of the configuration in an archive."""
        return hashlib.sha256(self.config).hexdigest() + ".json"

    @property
    def layer_name(self) -> str:
        """The name of the layer in an archive."""
        return f"{self.layer_digest}/layer.tar"


def make_image(tag: str, content: Content, scratch: Path) -> Image:
    """Write the layer of an image into a scratch folder."""
    partial = scratch / "layer.partial"
    with tarfile.open(partial, "w") as tar:
        for folder in content.all_folders():
            add_folder(tar, folder, 0o1777 if folder == "tmp" else 0o755)
        for name, source in content.files.items():
            add_file(tar, name, source)
        for name, target in content.links.items():
            add_link(tar, name, target)
    digest = _digest(partial)
    layer = scratch / f"{digest}.tar"
    _compress(partial, layer)
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Env": [PATH], **({"Entrypoint": list(content.entrypoint)} if content.entrypoint else {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "hermes kind node image"}],
    }
    return Image(tag, json.dumps(config).encode(), layer, digest)


def write_archive(target: Path, images: list[Image]) -> None:
    """Write one archive with all of the images."""
    repositories: dict[str, dict[str, str]] = {}
    for image in images:
        repository, _, version = image.tag.rpartition(":")
        repositories.setdefault(repository, {})[version] = image.layer_digest
    manifest = [{"Config": image.config_name, "RepoTags": [image.tag], "Layers": [image.layer_name]} for image in images]
    with tarfile.open(target, "w") as tar:
        add_bytes(tar, "repositories", json.dumps(repositories).encode())
        add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
        for image in images:
            add_bytes(tar, image.config_name, image.config)
            add_file(tar, image.layer_name, image.layer, 0o644)


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file of these bytes; no time, no owner, so that the same content is the same archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def add_file(tar: tarfile.TarFile, name: str, source: Path, mode: int = 0o755) -> None:
    """Add the content of a file."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = source.stat().st_size, mode
    with source.open("rb") as content:
        tar.addfile(info, content)


def add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    """Add an empty folder."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    """Add a symbolic link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    tar.addfile(info)


def _compress(source: Path, target: Path) -> None:
    """Compress a layer, quickly rather than well: every node has a copy of it, which is made and deleted with the cluster."""
    with (
        source.open("rb") as content,
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed,
    ):
        shutil.copyfileobj(content, packed, BLOCK)
    source.unlink()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
