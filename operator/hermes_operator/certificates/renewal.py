"""When a pod needs another certificate, and the TLS Secret's content with all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from hermes_operator import names
from hermes_operator.certificates.issuing import build_alternative_names, issue_node_certificate
from hermes_operator.certificates.key_pair import RENEW_BEFORE, KeyPair, load_key
from hermes_operator.crd_spec import MeshSpec


def find_stale(mesh: MeshSpec, files: Mapping[str, bytes], ca: KeyPair, now: datetime, cluster_domain: str) -> tuple[str, ...]:
    """Pods that need a certificate; all of them when the CA among the files is not this one."""
    if files.get(names.CA_CERT_KEY) != ca.certificate:
        return mesh.pods
    return tuple(pod for pod in mesh.pods if not certificate_is_good(mesh, pod, read_pair(files, pod), ca, now, cluster_domain))


def read_pair(files: Mapping[str, bytes], pod: str) -> KeyPair:
    """A pod's certificate and key as they stand in the TLS Secret; empty where it has none."""
    return KeyPair(files.get(f"{pod}.crt", b""), files.get(f"{pod}.key", b""))


def renew_certificates(
    mesh: MeshSpec, existing: Mapping[str, bytes], ca: KeyPair, now: datetime, cluster_domain: str
) -> dict[str, bytes]:
    """Content of the TLS Secret: what is still good stays byte for byte, the rest is issued anew, strangers are dropped."""
    files = {names.CA_CERT_KEY: ca.certificate}
    for pod in mesh.pods:
        pair = read_pair(existing, pod)
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
        key_matches = certificate.public_key() == load_key(pair.key).public_key()
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    renew_at = min(certificate.not_valid_after_utc, authority.not_valid_after_utc) - RENEW_BEFORE
    fresh = certificate.not_valid_before_utc <= now < renew_at
    return key_matches and fresh and set(names_now) == set(build_alternative_names(mesh, pod, cluster_domain))


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
