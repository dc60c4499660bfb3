"""The mesh's own CA. Makes keys; callers give the time."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hermes_operator.certificates.key_pair import (
    BACKDATE,
    RENEW_BEFORE,
    KeyPair,
    build_key_usage,
    build_name,
    encode_certificate,
    encode_key,
    load_key,
)
from hermes_operator.crd_spec import MeshSpec

CA_LIFETIME = timedelta(days=3650)


def build_ca(mesh: MeshSpec, now: datetime) -> KeyPair:
    """A new self-signed CA that signs nothing but leaves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = build_name(f"{mesh.namespace}/{mesh.name} mesh CA"[:64])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(build_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(encode_certificate(certificate), encode_key(key))


def ca_is_good(ca: KeyPair, now: datetime) -> bool:
    """Whether this CA can sign: certificate and key belong together, and it outlives the renewal margin."""
    try:
        certificate = x509.load_pem_x509_certificate(ca.certificate)
        key_matches = certificate.public_key() == load_key(ca.key).public_key()
    except (ValueError, TypeError):
        return False
    return key_matches and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
