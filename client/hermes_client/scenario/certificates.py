"""A throw-away certificate authority and node certificates for a mesh on this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = dt.timedelta(days=1)  # a local mesh lives for minutes
CLOCK_SLACK = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a PEM certificate and its PEM key."""

    certificate: Path
    key: Path


class LocalAuthority:
    """An EC P-256 certificate authority; `ca_file` is what clients and nodes trust."""

    def __init__(self, folder: Path, name: str = "hermes-local-ca", *, above: LocalAuthority | None = None) -> None:
        """`above`: who signs it; None: it signs itself."""
        self._folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(self.name, (above or self).name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign((above or self).key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue_node(self, node_id: str, *, valid_for: dt.timedelta = VALID_FOR) -> CertificateFiles:
        """Write `<node id>.crt` and `.key`: server and client certificate for the node id, localhost and both loopbacks."""
        key = ec.generate_private_key(ec.SECP256R1())
        loopbacks = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        names = x509.SubjectAlternativeName([x509.DNSName(node_id), x509.DNSName("localhost"), *loopbacks])
        certificate = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)]), self.name, key.public_key(), valid_for)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(names, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = CertificateFiles(self._folder / f"{node_id}.crt", self._folder / f"{node_id}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private(
            files.key,
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )
        return files


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, valid_for: dt.timedelta = VALID_FOR
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + valid_for)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
