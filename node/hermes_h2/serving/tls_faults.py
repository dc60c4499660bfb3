"""Why a TLS handshake failed, in a kind to count and words for people: OpenSSL says it in codes."""

from __future__ import annotations

import re
import ssl
from typing import Final

from hermes_h2.events import Refusal

_NO_TLS: Final = (Refusal.TLS, "what came is no TLS")
_VERSION: Final = (Refusal.TLS_VERSION, "the peer speaks no version of TLS that is spoken here")
_REASONS: Final = {
    "HTTP_REQUEST": _NO_TLS,
    "HTTPS_PROXY_REQUEST": _NO_TLS,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _VERSION,
    "NO_PROTOCOLS_AVAILABLE": _VERSION,
    "VERSION_TOO_LOW": _VERSION,
    "VERSION_TOO_HIGH": _VERSION,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (Refusal.NO_CERTIFICATE, "the peer showed no certificate"),
}
_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)\Z")
"""What the peer said, and not this end."""
_EXPIRED: Final = 10
"""X509_V_ERR_CERT_HAS_EXPIRED: the certificate's, or that of an authority on the way to it."""
_UNKNOWN_CA: Final = frozenset({2, 7, 18, 19, 20, 21})
"""No issuer, an issuer of that name with another key, and what signed itself."""


class TlsFailedError(Exception):
    """The handshake failed, or what came is no TLS. The text says how."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal


def judge_tls_error(error: OSError) -> TlsFailedError:
    """`error`: OpenSSL's, from a server's end."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _judge_certificate(error)
    reason = getattr(error, "reason", None) or type(error).__name__
    alert = _ALERT.match(reason)
    if alert is not None:
        return TlsFailedError(Refusal.TLS_ALERT, f"the peer does not go on, and says: {alert[1].replace('_', ' ').lower()}")
    return TlsFailedError(*_REASONS.get(reason, (Refusal.TLS, reason)))


def _judge_certificate(error: ssl.SSLCertVerificationError) -> TlsFailedError:
    if error.verify_code == _EXPIRED:
        return TlsFailedError(Refusal.CERTIFICATE_EXPIRED, "the peer's certificate, or its CA's, has expired")
    kind = Refusal.UNKNOWN_CA if error.verify_code in _UNKNOWN_CA else Refusal.CERTIFICATE
    return TlsFailedError(kind, f"the peer's certificate: {error.verify_message}")
