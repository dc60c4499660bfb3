"""TLS files: read, judged, and reloaded when they change; streams that stand are never dropped for it."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hermes_node.errors import CertificateError

MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of one server's certificate, key and (optionally) the CA of its clients; `section` names them in errors."""

    section: str
    cert: str
    key: str
    ca: str
    ca_field: str = "tls_ca"


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """PEM bytes that belong together. `names` are the certificate's DNS names; times are Unix seconds."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)
    ca_pem: bytes | None
    names: frozenset[str]
    not_before_s: float
    not_after_s: float
    ca_not_after_s: float | None

    def is_in_time(self, now_s: float) -> bool:
        return self.not_before_s <= now_s < self.not_after_s


def load_material(files: TlsFiles) -> TlsMaterial:
    """Read and judge the files. CertificateError names the setting."""
    cert_pem = _read(files.cert, f"{files.section}.tls_cert")
    key_pem = _read(files.key, f"{files.section}.tls_key")
    ca_pem = _read(files.ca, f"{files.section}.{files.ca_field}") if files.ca else None
    leaf = _parse_certificates(cert_pem, f"{files.section}.tls_cert", files.cert)[0]
    _check_key(key_pem, leaf, files)
    authorities = _parse_certificates(ca_pem, f"{files.section}.{files.ca_field}", files.ca) if ca_pem is not None else []
    return TlsMaterial(
        cert_pem,
        key_pem,
        ca_pem,
        _dns_names(leaf),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        min((ca.not_valid_after_utc.timestamp() for ca in authorities), default=None),
    )


TryOut = Callable[[TlsMaterial], object]
"""Makes of material what it is for; ssl.SSLError when OpenSSL does not take it, as a key that is too short."""

OnChange = Callable[[TlsMaterial | CertificateError], None]
"""Is told what a changed file led to: new material, or why it cannot be used. May be called from gRPC's threads."""


class ReloadingTls:
    """The material in use. `refresh` looks at the files and takes over a valid change; an invalid one leaves the former in use.

    gRPC asks for the server's material before each TLS handshake, from its own threads; a lock covers that.
    """

    def __init__(self, files: TlsFiles, on_change: OnChange, try_out: TryOut = lambda _: None) -> None:
        self._files = files
        self._on_change = on_change
        self._try_out = try_out
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self._material = self._load()

    @property
    def material(self) -> TlsMaterial:
        return self._material

    def refresh(self) -> bool:
        """True when changed files were taken over."""
        with self._lock:
            stamp = _stamp(self._files)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            found: TlsMaterial | CertificateError
            try:
                self._material = found = self._load()
            except CertificateError as rejected:
                found = rejected
        self._on_change(found)
        return isinstance(found, TlsMaterial)

    def _load(self) -> TlsMaterial:
        material = load_material(self._files)
        try:
            self._try_out(material)
        except ssl.SSLError as error:
            files = self._files
            shown = ", ".join(filter(None, (files.cert, files.key, files.ca)))
            raise CertificateError(
                f"{files.section}: OpenSSL does not take {shown}: {error.reason or error.strerror}"
            ) from None
        return material

    def server_credentials(self, *, require_client: bool) -> grpc.ServerCredentials:
        """Credentials that follow the files: every new connection is shown the newest valid material."""
        shown = [self._material]

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            self.refresh()
            if shown[0] is self._material:
                return None
            shown[0] = self._material
            return self._server_configuration()

        initial = self._server_configuration()
        return grpc.dynamic_ssl_server_credentials(initial, fetch, require_client)  # type: ignore[arg-type] # None: unchanged

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Credentials for a new connection to a peer, from the newest valid material."""
        self.refresh()
        material = self._material
        return grpc.ssl_channel_credentials(material.ca_pem, material.key_pem, material.cert_pem)

    def _server_configuration(self) -> grpc.ServerCertificateConfiguration:
        material = self._material
        return grpc.ssl_server_certificate_configuration([(material.key_pem, material.cert_pem)], material.ca_pem)


def _read(path: str, field: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{field}: cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise CertificateError(f"{field}: {path} is larger than {MAX_FILE_BYTES} bytes")
    return data


def _parse_certificates(pem: bytes, field: str, path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateError(f"{field}: {path} holds no PEM certificate") from None


def _check_key(key_pem: bytes, leaf: x509.Certificate, files: TlsFiles) -> None:
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{files.section}.tls_key: {files.key} holds no unencrypted PEM private key") from None
    encoding = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*encoding) != leaf.public_key().public_bytes(*encoding):
        raise CertificateError(f"{files.section}.tls_key: {files.key} is not the key of {files.cert}")


def _dns_names(leaf: x509.Certificate) -> frozenset[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(names.get_values_for_type(x509.DNSName))


def _stamp(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a file is replaced: a Kubernetes Secret swaps a symbolic link, others rewrite in place."""
    stamps: list[tuple[int, int, int] | None] = []
    for path in (files.cert, files.key, files.ca):
        try:
            status = os.stat(path)  # noqa: PTH116 - follows the link, without building a Path on each connection
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(stamps)
