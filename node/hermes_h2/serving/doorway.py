"""What a connection has to say before HTTP/2: for whom a proxy speaks, and TLS's handshake."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from hermes_h2.events import Refusal
from hermes_h2.serving.proxy_header import Proxied, read_proxy_header
from hermes_h2.serving.tls_faults import TlsFailedError
from hermes_h2.serving.tls_pipe import TlsPipe


class RefusedError(Exception):
    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


class Doorway:
    """Bytes of the transport in, bytes of HTTP/2 out, and the other way round; `tls` None: they are the same."""

    def __init__(self, *, expects_proxy: bool, tls: Callable[[], ssl.SSLContext] | None) -> None:
        self._expects_proxy = expects_proxy
        self._tls = tls
        self._pipe: TlsPipe | None = None
        self._header = b""
        self.proxied: Proxied | None = None
        """What a proxy said, once it has."""

    @property
    def open(self) -> bool:
        """Whether HTTP/2 may be spoken."""
        return not self._expects_proxy and (self._tls is None or (self._pipe is not None and self._pipe.established))

    @property
    def greeted(self) -> bool:
        """The peer has begun with TLS."""
        return self._pipe is not None

    @property
    def closed(self) -> bool:
        """The peer has said goodbye."""
        return self._pipe is not None and self._pipe.closed

    def receive(self, data: bytes) -> bytes:
        """RefusedError for what is not what has to come first. `take_output` may have something to send, then as well."""
        if self._expects_proxy:
            data = self._read_header(data)
        if self._tls is None or not data:
            return data
        if self._pipe is None:  # not before something came: a connection that only stands there costs as little as it can
            self._pipe = TlsPipe(self._tls())
        try:
            return self._pipe.receive(data)
        except TlsFailedError as error:
            raise RefusedError(error.refusal, str(error)) from None

    def seal(self, data: bytes) -> bytes:
        if self._pipe is None:
            return data
        self._pipe.send(data)
        return self._pipe.take_output()

    def take_output(self) -> bytes:
        """TLS's own words."""
        return b"" if self._pipe is None else self._pipe.take_output()

    def say_goodbye(self) -> bytes:
        if self._pipe is None:
            return b""
        self._pipe.say_goodbye()
        return self._pipe.take_output()

    def release(self) -> None:
        """Nothing is said any more: what TLS holds is freed."""
        self._pipe = None

    def peer_names(self) -> frozenset[str]:
        return frozenset() if self._pipe is None else self._pipe.peer_names()

    def _read_header(self, data: bytes) -> bytes:
        self._header += data
        found = read_proxy_header(self._header)
        if found is None:
            return b""
        if not isinstance(found, Proxied):
            raise RefusedError(Refusal.PROXY_HEADER, "a trusted proxy sent no PROXY header")
        rest, self._header = self._header[found.size :], b""
        self._expects_proxy = False
        self.proxied = found
        return rest
