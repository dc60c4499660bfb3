"""Why a node cannot be reached however often it is tried: a look at the address with the standard library's TLS, and the cure.

gRPC says no more than that a connection failed. So after a failure the same is tried once more, as far as it tells more.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from hermes_client.addresses import split_address
from hermes_client.tls import ClientTls, PlainText

TIMEOUT_S: Final = 2.0
ATTEMPTS: Final = 2
ANSWER_S: Final = 0.5
"""A server that wants another certificate says so after the handshake; one that is content says the first word of HTTP/2."""

_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_OTHER_NAME: Final = frozenset({62, 63, 64})
_OUT_OF_TIME: Final = frozenset({9, 10})
_OTHER_PURPOSE: Final = 26
"""X509_V_ERR_* of OpenSSL: HOSTNAME_, EMAIL_, IP_ADDRESS_MISMATCH; CERT_NOT_YET_VALID, _HAS_EXPIRED; INVALID_PURPOSE."""
_CERTIFICATE_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
_ALPN: Final = ["h2"]
_READ_BYTES: Final = 16_384


async def diagnose(address: str, tls: ClientTls | PlainText) -> str | None:
    """What has to be changed before anything can answer there as is asked for; None when that is not known."""
    host, port = split_address(address)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if isinstance(tls, PlainText):
                return await _look_for_tls(address, host, port)
            return await _try_tls(address, host, port, tls)
    except socket.gaierror as error:
        return f"{address}: there is no host {host!r}; correct the address" if error.errno in _NO_SUCH_NAME else None
    except (OSError, TimeoutError, EOFError):  # nobody there, or busy: another attempt may find it otherwise
        return None


async def _look_for_tls(address: str, host: str, port: int) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to see whether there is TLS: nothing is said over it
    context.set_alpn_protocols(_ALPN)
    try:
        await _talk_tls(host, port, context, host)
    except ssl.SSLError as error:
        if not _is_alert(error):
            return None
    return f"{address}: the node speaks TLS, and the client was told not to; give tls=ClientTls(ca_file=…)"


async def _try_tls(address: str, host: str, port: int, tls: ClientTls) -> str | None:
    try:
        context = _build_context(tls)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None)
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        return f"{files}: not usable ({why}); give PEM files, and a key that belongs to its certificate"
    name = tls.server_name or host
    try:
        for _ in range(ATTEMPTS):
            if await _talk_tls(host, port, context, name, listen=True):
                return None
    except ssl.SSLCertVerificationError as error:
        return _explain(address, name, tls, error)
    except ssl.SSLError as error:
        if _is_alert(error):
            about_it = any(word in (error.reason or "") for word in _CERTIFICATE_ALERTS)
            return _refused(address, tls, error.reason) if about_it else None
        return f"{address}: nobody speaks TLS there; correct the address, or give tls=PLAIN if that is meant"
    # gRPC's servers say nothing of what they dislike in a client's certificate: they hang up after the handshake.
    return _refused(address, tls, "it ended the connection right after the handshake")


def _refused(address: str, tls: ClientTls, how: str) -> str:
    had = f"refused the certificate in {tls.cert_file}" if tls.cert_file else "asks for a certificate of the client"
    return f"{address}: the node {had} ({how}); give a cert_file and key_file that its authority signed"


def _build_context(tls: ClientTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    # No stricter than gRPC is: what it takes must not be called wrong.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(_ALPN)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _explain(address: str, name: str, tls: ClientTls, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_NAME:
        return f"{address}: the node's certificate is not for {name!r}; correct the address, or give the server_name it is for"
    if error.verify_code in _OUT_OF_TIME:
        return f"{address}: the node's certificate is out of its time ({error.verify_message}); renew it, or set the clock"
    if error.verify_code == _OTHER_PURPOSE:
        return f"{address}: the node's certificate is not for servers ({error.verify_message}); give the node one that is"
    trusted = "the public authorities" if tls.ca_file is None else str(tls.ca_file)
    return (
        f"{address}: the node's certificate is signed by none of {trusted} ({error.verify_message});"
        " give the ca_file of the mesh"
    )


def _is_alert(error: ssl.SSLError) -> bool:
    """The other side speaks TLS, and says what it does not like."""
    return "ALERT" in (error.reason or "")


async def _talk_tls(host: str, port: int, context: ssl.SSLContext, name: str, *, listen: bool = False) -> bool:
    """Shake hands, and listen for a moment if asked: False when the other side ended the connection instead of speaking.

    SSLError says what was wrong, also what the other side said of it; asyncio's own TLS keeps to itself what comes later.
    """
    reader, writer = await asyncio.open_connection(host, port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)

    async def run(step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                came = await reader.read(_READ_BYTES)
                if not came:
                    raise EOFError("the connection was closed") from None
                incoming.write(came)
            else:
                writer.write(outgoing.read())
                return

    try:
        await run(tls.do_handshake)
        if listen:
            try:
                await asyncio.wait_for(run(lambda: tls.read(1)), ANSWER_S)
            except TimeoutError:
                pass
            except (EOFError, ConnectionError):
                return False
        return True
    finally:
        writer.transport.abort()
