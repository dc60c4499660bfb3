"""What the local mesh writes: TOML that reads back, certificates that verify, secrets nobody else reads."""

from __future__ import annotations

import ssl
import stat
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from hermes_client.scenario.certificates import LocalAuthority
from hermes_client.scenario.local_mesh import LocalMesh, LocalMeshError, SettingValue, render_toml


def test_toml_reads_back() -> None:
    sections: dict[str, dict[str, SettingValue]] = {
        "a": {"text": 'quo"te\\ü', "number": 3, "half": 0.5, "yes": True, "many": ["x:1", "y:2"]},
        "empty": {},
    }
    assert tomllib.loads(render_toml(sections)) == sections


def test_node_certificates_are_signed_by_the_authority_and_name_the_node(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    files = authority.issue_node("local-0")
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_file.read_bytes()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["local-0", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


async def test_a_node_that_cannot_start_is_reported_with_its_log_and_leaves_nothing(tmp_path: Path) -> None:
    mesh = LocalMesh(1, folder=tmp_path / "mesh", settings={"node": {"no_such_setting": 1}})
    with pytest.raises(LocalMeshError, match=r"local-0 ended with exit code \d+"):
        async with mesh:
            pass
    assert mesh.nodes[0].process is None
