"""OpenSSL's reasons as kinds and words: expired is told from an unknown CA, this end's verdict from the peer's."""

from __future__ import annotations

import ssl

import pytest

from hermes_h2.events import Refusal
from hermes_h2.serving.tls_faults import judge_tls_error

CERTIFICATES = [
    (10, "certificate has expired", Refusal.CERTIFICATE_EXPIRED),
    (9, "certificate is not yet valid", Refusal.CERTIFICATE),
    (26, "unsuitable certificate purpose", Refusal.CERTIFICATE),
    (7, "certificate signature failure", Refusal.UNKNOWN_CA),
    (18, "self-signed certificate", Refusal.UNKNOWN_CA),
    (20, "unable to get local issuer certificate", Refusal.UNKNOWN_CA),
]
REASONS = [
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", Refusal.NO_CERTIFICATE, "no certificate"),
    ("UNSUPPORTED_PROTOCOL", Refusal.TLS_VERSION, "version"),
    ("WRONG_VERSION_NUMBER", Refusal.TLS, "no TLS"),
    ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Refusal.TLS_ALERT, "says: certificate expired"),
    ("TLSV1_ALERT_UNKNOWN_CA", Refusal.TLS_ALERT, "says: unknown ca"),
    ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Refusal.TLS_ALERT, "says: certificate required"),
    ("NO_SHARED_CIPHER", Refusal.TLS, "NO_SHARED_CIPHER"),
]


@pytest.mark.parametrize(("code", "message", "kind"), CERTIFICATES)
def test_what_is_wrong_with_a_certificate(code: int, message: str, kind: Refusal) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    found = judge_tls_error(error)
    assert (found.refusal, message.rsplit(maxsplit=1)[-1] in str(found)) == (kind, True)


@pytest.mark.parametrize(("reason", "kind", "words"), REASONS)
def test_what_is_wrong_besides(reason: str, kind: Refusal, words: str) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    found = judge_tls_error(error)
    assert (found.refusal, words in str(found)) == (kind, True)


def test_what_is_no_word_of_openssls_is_named() -> None:
    assert str(judge_tls_error(ConnectionResetError())) == "ConnectionResetError"
