"""OpenSSL's context of a server's certificate, key and, for clients that must show one, their CA; all as PEM bytes."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hermes_h2.serving.tls_pipe import ALPN


@dataclass(frozen=True, slots=True)
class PemMaterial:
    """With a CA clients must show a certificate that it signed."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)
    ca_pem: bytes | None = None


def build_context(
    material: PemMaterial, lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, file: int | None = None
) -> ssl.SSLContext:
    """`file`: descriptor of one in memory, for a process that may open none: it is empty before and afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = lowest
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN])
    with _as_file(material.cert_pem + b"\n" + material.key_pem, file) as path:
        context.load_cert_chain(path)
    if material.ca_pem is not None:
        # Bundles have comments between the certificates, in any language; `ssl` takes ASCII.
        context.load_verify_locations(cadata=material.ca_pem.decode("ascii", "ignore"))
        context.verify_mode = ssl.CERT_REQUIRED
        # The bundle is what is trusted, as gRPC's library has it: an authority in it need not have signed itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # A session that is taken up again shows no certificate: one that has run out, or is not signed any more, would do.
        context.num_tickets = 0
    return context


@contextmanager
def _as_file(data: bytes, kept: int | None) -> Iterator[str]:
    """Python's `ssl` reads keys from files only; this one never touches a disk where the system can do without."""
    if kept is not None:
        try:
            os.lseek(kept, 0, os.SEEK_SET)
            os.write(kept, data)
            yield f"/proc/self/fd/{kept}"
        finally:
            os.ftruncate(kept, 0)
        return
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
