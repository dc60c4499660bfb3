"""The guide to a mesh without Kubernetes: what it shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from hermes_node.config.sections import Config
from hermes_node.config.sources import load_config
from hermes_node.tls.setup import load_certificates

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "discovery.md"
CONFIGURATION, CERTIFICATES, *_ = re.findall(r"^```\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def load(folder: Path) -> Config:
    file = folder / "node.toml"
    file.write_text(CONFIGURATION.replace("/etc/hermes", str(folder)))
    return load_config(file, {})


def test_its_configuration_is_accepted_and_whole(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.app.security != "plain"
    assert config.keystore.passphrase_file


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_its_certificates_are_those_of_its_configuration(tmp_path: Path) -> None:
    for line in CERTIFICATES.replace("\\\n", "").splitlines():
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True, capture_output=True)
    certificates = load_certificates(load(tmp_path), lambda *_: None)
    assert certificates.app is not None
    assert certificates.mesh is not None
    assert {"hermes-1", "hermes.example.net"} <= certificates.mesh.material.names
