"""TLS files that one library reads and OpenSSL, which serves, does not take: refused when they are read."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hermes_client.scenario.certificates import LocalAuthority, write_private
from hermes_node.config.sections import AppSection, Config, MeshSection, NodeSection
from hermes_node.errors import CertificateError
from hermes_node.tls.contexts import follow_material
from hermes_node.tls.files import TlsMaterial
from hermes_node.tls.setup import Certificates, load_certificates


@dataclass
class Files:
    """A node's certificate and key, on disk, and what became of changes."""

    folder: Path
    told: list[TlsMaterial | CertificateError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.authority = LocalAuthority(self.folder)
        self.made = self.authority.issue_node("node-1")

    def load(self) -> Certificates:
        cert, key, ca = str(self.made.certificate), str(self.made.key), str(self.authority.ca_file)
        config = Config(
            node=NodeSection(id="node-1"),
            app=AppSection(tls_cert=cert, tls_key=key, tls_client_ca=ca),
            mesh=MeshSection(tls_cert=cert, tls_key=key, tls_ca=ca),
        )
        return load_certificates(config, lambda _, found: self.told.append(found))

    def shorten_key(self) -> None:
        """Of 1,024 bits, which OpenSSL refuses to serve with."""
        former = x509.load_pem_x509_certificate(self.made.certificate.read_bytes())
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
        names = former.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        new = (
            x509.CertificateBuilder(former.issuer, former.subject, key.public_key(), former.serial_number)
            .not_valid_before(former.not_valid_before_utc)
            .not_valid_after(former.not_valid_after_utc)
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        self.made.certificate.write_bytes(new.public_bytes(Encoding.PEM))
        write_private(self.made.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_openssl_does_not_take_is_refused_at_the_start(files: Files) -> None:
    files.shorten_key()
    with pytest.raises(CertificateError, match=r"^app: OpenSSL does not take .*node-1\.crt.*KEY_TOO_SMALL"):
        files.load()


def test_what_openssl_does_not_take_leaves_the_former_material_in_use(files: Files) -> None:
    app = files.load().app
    assert app is not None
    fetch, former = follow_material(app), app.material
    before = fetch()
    files.shorten_key()
    assert fetch() is before
    assert app.material is former
    assert [type(found) for found in files.told] == [CertificateError]


def test_a_key_is_in_no_repr(files: Files) -> None:
    app = files.load().app
    assert app is not None
    assert "PRIVATE" in app.material.key_pem.decode()
    assert "PRIVATE" not in repr(app.material)


def test_a_bundle_may_have_comments_in_any_language(files: Files) -> None:
    bundle = files.authority.ca_file
    bundle.write_bytes("# Főtanúsítvány\n".encode() + bundle.read_bytes())
    app = files.load().app
    assert app is not None
    assert follow_material(app)().verify_mode is ssl.CERT_REQUIRED
