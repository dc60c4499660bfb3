"""Building the project's image where there is no Docker, with the package index settings of this machine.

pip's settings and certificates reach the build as secrets: mounted while a command runs, in no layer.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .base_images import BaseImages
from .buildah import Buildah
from .commands import attempt
from .lock import wait_turn
from .paths import CHECKOUT, Cache
from .progress import phase
from .versions import BASE_IMAGE, PROJECT_IMAGE

# Where the Dockerfile mounts them; pip finds the first through PIP_CONFIG_FILE.
SECRET_CONFIG = "pip_conf"
SECRET_CERTIFICATES = "pip_ca"
CERTIFICATES_IN_BUILD = "/run/secrets/pip_ca"
WHO = "another build of an image"
PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
CERTIFICATE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class ImageBuilder:
    """Builds images into oci-archives in the cache; each kind of cluster has its own, so that none loads another's."""

    cache: Cache
    cluster: str

    def archive(self, tag: str) -> Path:
        """Return the archive file of a tag."""
        return self.cache.images / self.cluster / (tag.replace("/", "_").replace(":", "_") + ".tar")

    def build_image(self, context: Path = CHECKOUT, tag: str = PROJECT_IMAGE, *, dockerfile: Path | None = None) -> Path:
        """Build a Dockerfile on the base image, and return the oci-archive."""
        with wait_turn(self._lock, WHO):
            BaseImages(self.cache).ensure()
            return self._build(context, tag, dockerfile)

    def ensure_base(self) -> None:
        """Make what every image stands on."""
        with wait_turn(self._lock, WHO):
            BaseImages(self.cache).ensure()

    @property
    def _lock(self) -> Path:
        """The storage of images is one for all clusters, and a tag in it belongs to the build that is at work."""
        return self.cache.root / "image-build.lock"

    def _build(self, context: Path, tag: str, dockerfile: Path | None) -> Path:
        buildah = Buildah(self.cache)
        with phase(f"build image {tag}"), tempfile.TemporaryDirectory() as scratch:
            config = Path(scratch) / "pip.conf"
            config.write_text(pip_config())
            buildah.build(
                self.cache.root / "logs" / f"image-build-{self.cluster}.log",
                "--layers=false",
                "--pull=never",
                "--format=oci",
                "--tag",
                tag,
                "--build-arg",
                f"BASE_IMAGE={BASE_IMAGE}",
                *build_labels(context),
                "--secret",
                f"id={SECRET_CONFIG},src={config}",
                "--secret",
                f"id={SECRET_CERTIFICATES},src={certificates()}",
                "--file",
                dockerfile or context / "Dockerfile",
                context,
            )
        with phase(f"save image {tag}"):
            buildah.save(tag, self.archive(tag))
            buildah.prune()
        return self.archive(tag)


def pip_config() -> str:
    """Return a pip.conf with the index settings in force here, taken from all of pip's sources."""
    done = attempt([sys.executable, "-m", "pip", "config", "list"])
    lines = ["[global]", f"cert = {CERTIFICATES_IN_BUILD}", "disable-pip-version-check = true"]
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in PASSED_ON and not key.startswith(":env:"):
            settings.setdefault(name, value.strip().strip("'"))
    for name in PASSED_ON:  # the environment wins over files, as in pip
        override = os.environ.get("PIP_" + name.replace("-", "_").upper())
        if override:
            settings[name] = override
    lines += [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def certificates() -> Path:
    """Return the certificate bundle that this machine trusts."""
    for name in CERTIFICATE_VARIABLES:
        path = Path(os.environ.get(name) or "/nonexistent")
        if path.is_file():
            return path
    return SYSTEM_CERTIFICATES


def build_labels(context: Path) -> list[str]:
    """Return build arguments for the labels: the commit, when the context is a git checkout."""
    done = attempt(["git", "-C", context, "rev-parse", "HEAD"])
    return ["--build-arg", f"REVISION={done.stdout.strip()}"] if done.returncode == 0 else []


def inspect_config(buildah: Buildah, tag: str) -> dict[str, object]:
    """Return the configuration (user, entrypoint, labels) of a built image."""
    parsed: dict[str, object] = json.loads(buildah.run("inspect", "--type", "image", tag))["OCIv1"]["config"]
    return parsed
