"""Which TLS files the configuration names, loaded and judged before anything listens."""

from __future__ import annotations

from collections.abc import Callable

from hermes_node.config.sections import Config
from hermes_node.errors import CertificateError
from hermes_node.tls.files import ReloadingTls, TlsFiles

OnChange = Callable[[CertificateError | None], None]


def load_app_tls(config: Config, on_change: OnChange) -> ReloadingTls | None:
    """None: apps connect without TLS. CertificateError names the setting."""
    app = config.app
    if not app.tls_cert:
        return None
    return ReloadingTls(TlsFiles("app", app.tls_cert, app.tls_key, app.tls_client_ca, ca_field="tls_client_ca"), on_change)


def load_mesh_tls(config: Config, on_change: OnChange) -> ReloadingTls | None:
    """None: there is no mesh. CertificateError names the setting; the certificate must name this node."""
    mesh = config.mesh
    if not config.mesh_enabled:
        return None
    tls = ReloadingTls(TlsFiles("mesh", mesh.tls_cert, mesh.tls_key, mesh.tls_ca), on_change)
    if config.node.id not in tls.material.names:
        names = ", ".join(sorted(tls.material.names)) or "none"
        raise CertificateError(f"mesh.tls_cert: {mesh.tls_cert} names {names}, but not DNS:{config.node.id}")
    return tls
