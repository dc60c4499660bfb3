"""Keys and certificates of the cluster: one authority, one certificate a component, made anew at each `up`."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .versions import API_SERVICE_IP, CLUSTER_DOMAIN, NODE_IP, NODE_NAME

if TYPE_CHECKING:
    from pathlib import Path

VALID_FOR = dt.timedelta(days=7)  # a test cluster lives for minutes; this is ample
CLOCK_SLACK = dt.timedelta(minutes=5)

API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
)


@dataclass(frozen=True)
class Leaf:
    """One certificate to be made: file stem, user, groups, and names it serves."""

    stem: str
    user: str
    group: str | None = None
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


LEAVES = (
    Leaf("apiserver", "kube-apiserver", dns=API_NAMES, addresses=("127.0.0.1", NODE_IP, API_SERVICE_IP)),
    Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    Leaf("admin", "hermes-e2e-admin", "system:masters"),
    Leaf("controller-manager", "system:kube-controller-manager"),
    Leaf("scheduler", "system:kube-scheduler"),
    Leaf("kubelet", f"system:node:{NODE_NAME}", "system:nodes", dns=(NODE_NAME,), addresses=(NODE_IP, "127.0.0.1")),
    Leaf("kube-proxy", "system:kube-proxy"),
    Leaf("coredns", "hermes-e2e-coredns"),
)


def write_pki(folder: Path) -> None:
    """Write ca.crt, ca.key, one pair for each leaf, and the key that signs service account tokens."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hermes-e2e-ca")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    _write_pair(folder, "ca", ca_key, ca)
    for leaf in LEAVES:
        key = ec.generate_private_key(ec.SECP256R1())
        _write_pair(folder, leaf.stem, key, _issue(leaf, key.public_key(), ca_name, ca_key))
    signer = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / "sa.key", signer)
    (folder / "sa.pub").write_bytes(
        signer.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _issue(
    leaf: Leaf,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.user)]
    if leaf.group is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.group))
    builder = (
        _builder(x509.Name(attributes), issuer, public)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
    )
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in leaf.dns]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in leaf.addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + VALID_FOR)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(folder: Path, stem: str, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> None:
    _write_key(folder / f"{stem}.key", key)
    (folder / f"{stem}.crt").write_bytes(cert.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
