"""The mesh's CA and certificates: good for real mutual TLS, renewed in time, and nothing foreign accepted."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from hermes_operator.certificates.authority import CA_LIFETIME, build_ca, ca_is_good
from hermes_operator.certificates.issuing import issue_node_certificate
from hermes_operator.certificates.key_pair import KeyPair
from hermes_operator.certificates.renewal import certificate_is_good, earliest_expiry, renew_certificates
from tests.unit.hermes_operator.operator_samples import CLUSTER_DOMAIN, NOW, mesh_of

MESH = mesh_of({"replicas": 2})
CA = build_ca(MESH, NOW)
LEAF = issue_node_certificate(MESH, "demo-0", CA, NOW, CLUSTER_DOMAIN)


def good(pair: KeyPair = LEAF, *, pod: str = "demo-0", ca: KeyPair = CA, now: datetime = NOW, domain: str = "") -> bool:
    return certificate_is_good(MESH, pod, pair, ca, now, domain or CLUSTER_DOMAIN)


def test_names_cover_the_node_id_its_services_and_loopback() -> None:
    certificate = x509.load_pem_x509_certificate(LEAF.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) >= {
        "demo-0",
        "demo-0.demo-nodes.chat.svc",
        "demo-0.demo-nodes.chat.svc.cluster.local",
        "demo.chat.svc",
        "demo.chat.svc.cluster.local",
        "localhost",
    }


def test_a_node_has_the_name_under_which_apps_outside_reach_it_and_loses_it_again() -> None:
    outside = mesh_of({"replicas": 2, "service": {"nodeAddress": "$(POD_NAME).chat.example.com:443"}})
    leaf = issue_node_certificate(outside, "demo-1", CA, NOW, CLUSTER_DOMAIN)
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "demo-1.chat.example.com" in names.get_values_for_type(x509.DNSName)
    assert certificate_is_good(outside, "demo-1", leaf, CA, NOW, CLUSTER_DOMAIN)
    assert not good(leaf, pod="demo-1"), "the mesh says so no more"
    assert not certificate_is_good(outside, "demo-0", LEAF, CA, NOW, CLUSTER_DOMAIN), "it is made anew when the mesh says so"


@pytest.mark.parametrize("name", ["demo-1", "demo-1.demo-nodes.chat.svc", "demo", "localhost"])
def test_mutual_tls_between_two_nodes(name: str, tmp_path: Path) -> None:
    """Handshake in memory with OpenSSL's own verification of chain, use and host name."""
    now = datetime.now(UTC)
    ca = build_ca(MESH, now)
    files = renew_certificates(MESH, {}, ca, now, CLUSTER_DOMAIN)
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    server, client = (_context(tmp_path, side, pod) for side, pod in ((True, "demo-1"), (False, "demo-0")))
    assert _handshake(server, client, name) == name
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client, "demo-0")


def _context(folder: Path, server: bool, pod: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(folder / "ca.crt")
    context.load_cert_chain(folder / f"{pod}.crt", folder / f"{pod}.key")
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=name),
    )
    for _ in range(10):
        waiting = 0
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waiting += 1
        if not waiting:
            return ends[1].server_hostname
    raise AssertionError("no end of the handshake")


def test_a_good_certificate_is_good_until_a_third_is_left() -> None:
    assert good()
    assert good(now=NOW + timedelta(days=59, hours=23))
    assert not good(now=NOW + timedelta(days=60, hours=1))
    assert not good(now=NOW - timedelta(hours=1))


def test_what_makes_a_certificate_bad() -> None:
    other_ca = build_ca(MESH, NOW)
    stranger = issue_node_certificate(MESH, "demo-0", other_ca, NOW, CLUSTER_DOMAIN)
    assert not good(pod="demo-1")
    assert not good(ca=other_ca)
    assert not good(stranger)
    assert not good(domain="cluster.example")
    assert not good(KeyPair(LEAF.certificate, stranger.key))
    for broken in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        assert not good(KeyPair(broken, LEAF.key))
        assert not good(KeyPair(LEAF.certificate, broken))


def test_renewal_keeps_what_is_good_byte_for_byte() -> None:
    files = renew_certificates(MESH, {}, CA, NOW, CLUSTER_DOMAIN)
    assert set(files) == {"ca.crt", "demo-0.crt", "demo-0.key", "demo-1.crt", "demo-1.key"}
    damaged = files | {"demo-1.crt": b"", "demo-9.crt": b"stranger"}
    renewed = renew_certificates(MESH, damaged, CA, NOW, CLUSTER_DOMAIN)
    assert "demo-9.crt" not in renewed
    assert {name for name in files if files[name] != renewed[name]} == {"demo-1.crt", "demo-1.key"}


def test_ca() -> None:
    assert ca_is_good(CA, NOW)
    assert not ca_is_good(CA, NOW + CA_LIFETIME - timedelta(days=29))
    assert not ca_is_good(KeyPair(CA.certificate, LEAF.key), NOW)
    assert not ca_is_good(KeyPair(b"", b""), NOW)
    late = issue_node_certificate(MESH, "demo-0", CA, NOW + CA_LIFETIME - timedelta(days=40), CLUSTER_DOMAIN)
    ends = x509.load_pem_x509_certificate(late.certificate).not_valid_after_utc
    assert ends == x509.load_pem_x509_certificate(CA.certificate).not_valid_after_utc


def test_expiry_shown_is_the_first() -> None:
    files = renew_certificates(MESH, {}, CA, NOW, CLUSTER_DOMAIN)
    assert earliest_expiry(files) == NOW + timedelta(days=90)
    assert earliest_expiry({}) is None
    assert earliest_expiry({"a.crt": b"no certificate"}) is None


def test_a_key_pair_does_not_print_its_key() -> None:
    assert "PRIVATE" not in repr(LEAF)
