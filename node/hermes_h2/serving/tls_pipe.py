"""TLS between a transport and a connection, in memory: when a handshake's next step is made is the caller's to say."""

from __future__ import annotations

import ssl
from typing import Final

from hermes_h2.events import Refusal
from hermes_h2.serving.tls_faults import TlsFailedError, judge_tls_error

ALPN: Final = "h2"
READ_BYTES: Final = 65_536


class TlsPipe:
    """The server's end. Ciphertext in, plaintext out, and the other way round."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.established = False
        self.closed = False
        """The peer has said that nothing more comes."""

    def receive(self, data: bytes) -> bytes:
        """What it says. TlsFailedError; `take_output` may hold an alert then."""
        self._in.write(data)
        parts: list[bytes] = []
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
                if self._tls.selected_alpn_protocol() != ALPN:
                    raise TlsFailedError(Refusal.TLS, "no ALPN for HTTP/2")
            while part := self._tls.read(READ_BYTES):
                parts.append(part)
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except (ssl.SSLError, OSError) as error:
            raise judge_tls_error(error) from None
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        self._tls.write(data)

    def say_goodbye(self) -> None:
        try:
            self._tls.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            return

    def take_output(self) -> bytes:
        return self._out.read()

    def peer_names(self) -> frozenset[str]:
        """Of the certificate that the peer showed and the CA signed."""
        certificate = self._tls.getpeercert() if self.established else None
        names = certificate.get("subjectAltName", ()) if certificate else ()
        return frozenset(str(pair[1]) for pair in names)
