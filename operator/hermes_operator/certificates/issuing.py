"""The certificate of each pod, issued by the mesh's CA. Makes keys; callers give the time."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from hermes_operator import names
from hermes_operator.certificates.key_pair import (
    BACKDATE,
    KeyPair,
    build_key_usage,
    build_name,
    encode_certificate,
    encode_key,
    load_key,
)
from hermes_operator.crd_spec import MeshSpec

LEAF_LIFETIME = timedelta(days=90)


def issue_node_certificate(mesh: MeshSpec, pod: str, ca: KeyPair, now: datetime, cluster_domain: str) -> KeyPair:
    """A certificate for one pod, as server and client, with every name that peers and apps use for it."""
    authority, authority_key = x509.load_pem_x509_certificate(ca.certificate), load_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(build_name(pod))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + LEAF_LIFETIME, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(build_key_usage(sign_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(build_alternative_names(mesh, pod, cluster_domain), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return KeyPair(encode_certificate(certificate), encode_key(key))


def build_alternative_names(mesh: MeshSpec, pod: str, cluster_domain: str) -> x509.SubjectAlternativeName:
    peers = names.headless_service(mesh.name)
    dns = [pod, "localhost"]
    for host in (f"{pod}.{peers}", peers, mesh.name):
        dns += [
            host,
            f"{host}.{mesh.namespace}",
            f"{host}.{mesh.namespace}.svc",
            f"{host}.{mesh.namespace}.svc.{cluster_domain}",
        ]
    outside = mesh.node_address.rpartition(":")[0].replace(names.POD_NAME_VARIABLE, pod)
    dns += [outside] if outside not in dns else []
    general: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    return x509.SubjectAlternativeName([*general, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
