"""The TLS material in use as a server of apps takes it, made anew when it was reloaded."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeVar

from hermes_h2.serving import tls_context
from hermes_h2.serving.tls_context import PemMaterial
from hermes_node.tls.files import ReloadingTls, TlsMaterial

T = TypeVar("T")


def follow_material(tls: ReloadingTls, lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> Callable[[], ssl.SSLContext]:
    """What a server asks before each handshake. With a CA in the material, clients must show a certificate that it signed."""
    return _follow(tls, lambda material: build_context(material, lowest))


def follow_pem(tls: ReloadingTls) -> Callable[[], PemMaterial]:
    """The same for a server whose connections are other processes': what it gives is another object once it changed."""
    return _follow(tls, as_pem)


def _follow(tls: ReloadingTls, make: Callable[[TlsMaterial], T]) -> Callable[[], T]:
    """What is made of the material in use, anew when that is another one."""
    shown = tls.material
    made = make(shown)

    def fetch() -> T:
        nonlocal shown, made
        tls.refresh()
        if shown is not tls.material:
            shown = tls.material
            made = make(shown)
        return made

    return fetch


def build_context(material: TlsMaterial, lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    return tls_context.build_context(as_pem(material), lowest)


def as_pem(material: TlsMaterial) -> PemMaterial:
    return PemMaterial(material.cert_pem, material.key_pem, material.ca_pem)
