"""The mesh's own CA and the certificate of each pod: ECDSA P-256, X.509 (RFC 5280). Makes keys; callers give the time."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hermes_operator import names
from hermes_operator.spec import MeshSpec

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
# A third of the life is left: weeks to notice that renewal does not work.
RENEW_BEFORE = timedelta(days=30)
# Clocks of other machines may be behind.
_BACKDATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(…)"


def build_ca(mesh: MeshSpec, now: datetime) -> KeyPair:
    """A new self-signed CA that signs nothing but leaves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{mesh.namespace}/{mesh.name} mesh CA"[:64])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(_pem(certificate), _pem_key(key))


def issue_node_certificate(mesh: MeshSpec, pod: str, ca: KeyPair, now: datetime, cluster_domain: str) -> KeyPair:
    """A certificate for one pod, as server and client, with every name that peers and apps use for it."""
    authority, authority_key = x509.load_pem_x509_certificate(ca.certificate), _load_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(pod))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(min(now + LEAF_LIFETIME, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(_alternative_names(mesh, pod, cluster_domain), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return KeyPair(_pem(certificate), _pem_key(key))


def renew_certificates(
    mesh: MeshSpec, existing: Mapping[str, bytes], ca: KeyPair, now: datetime, cluster_domain: str
) -> dict[str, bytes]:
    """Content of the TLS Secret: what is still good stays byte for byte, the rest is issued anew, strangers are dropped."""
    files = {names.CA_CERT_KEY: ca.certificate}
    for pod in mesh.pods:
        pair = KeyPair(existing.get(f"{pod}.crt", b""), existing.get(f"{pod}.key", b""))
        if not certificate_is_good(mesh, pod, pair, ca, now, cluster_domain):
            pair = issue_node_certificate(mesh, pod, ca, now, cluster_domain)
        files[f"{pod}.crt"], files[f"{pod}.key"] = pair.certificate, pair.key
    return files


def certificate_is_good(mesh: MeshSpec, pod: str, pair: KeyPair, ca: KeyPair, now: datetime, cluster_domain: str) -> bool:
    """Whether a pod can go on with this certificate: signed by this CA, its own key, its own names, and not about to expire."""
    try:
        certificate, authority = (
            x509.load_pem_x509_certificate(pair.certificate),
            x509.load_pem_x509_certificate(ca.certificate),
        )
        certificate.verify_directly_issued_by(authority)
        names_now = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key_matches = certificate.public_key() == _load_key(pair.key).public_key()
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    renew_at = min(certificate.not_valid_after_utc, authority.not_valid_after_utc) - RENEW_BEFORE
    fresh = certificate.not_valid_before_utc <= now < renew_at
    return key_matches and fresh and set(names_now) == set(_alternative_names(mesh, pod, cluster_domain))


def ca_is_good(ca: KeyPair, now: datetime) -> bool:
    """Whether this CA can sign: certificate and key belong together, and it outlives the renewal margin."""
    try:
        certificate = x509.load_pem_x509_certificate(ca.certificate)
        key_matches = certificate.public_key() == _load_key(ca.key).public_key()
    except (ValueError, TypeError):
        return False
    return key_matches and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE


def earliest_expiry(files: Mapping[str, bytes]) -> datetime | None:
    """When the first certificate of a TLS Secret ends; None when it holds none that can be read."""
    ends: list[datetime] = []
    for name, content in files.items():
        if not name.endswith(".crt"):
            continue
        try:
            ends.append(x509.load_pem_x509_certificate(content).not_valid_after_utc)
        except ValueError:
            return None
    return min(ends).astimezone(UTC) if ends else None


def _alternative_names(mesh: MeshSpec, pod: str, cluster_domain: str) -> x509.SubjectAlternativeName:
    peers = names.headless_service(mesh.name)
    dns = [pod, "localhost"]
    for host in (f"{pod}.{peers}", peers, mesh.name):
        dns += [
            host,
            f"{host}.{mesh.namespace}",
            f"{host}.{mesh.namespace}.svc",
            f"{host}.{mesh.namespace}.svc.{cluster_domain}",
        ]
    general: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    return x509.SubjectAlternativeName([*general, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic-curve key")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
