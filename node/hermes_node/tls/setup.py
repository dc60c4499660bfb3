"""Which TLS files the configuration names, loaded and judged before anything listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from hermes_node.config.sections import Config
from hermes_node.errors import CertificateError
from hermes_node.tls.contexts import build_context
from hermes_node.tls.files import OnChange, ReloadingTls, TlsFiles, TlsMaterial

Section = Literal["app", "mesh"]
Report = Callable[[Section, TlsMaterial | CertificateError], None]


@dataclass(frozen=True, slots=True)
class Certificates:
    """TLS material that follows its files. None: that server is configured without."""

    app: ReloadingTls | None
    mesh: ReloadingTls | None

    def __iter__(self) -> Iterator[tuple[Section, ReloadingTls]]:
        if self.app is not None:
            yield "app", self.app
        if self.mesh is not None:
            yield "mesh", self.mesh

    def refresh(self) -> None:
        """Look at the files of each server."""
        for _, tls in self:
            tls.refresh()


def load_certificates(config: Config, report: Report) -> Certificates:
    """CertificateError names the setting; `report` is told of later changes, from gRPC's threads as well."""
    return Certificates(_load_app(config, partial(report, "app")), _load_mesh(config, partial(report, "mesh")))


def _load_app(config: Config, on_change: OnChange) -> ReloadingTls | None:
    app = config.app
    if not app.tls_cert:
        return None
    files = TlsFiles("app", app.tls_cert, app.tls_key, app.tls_client_ca, ca_field="tls_client_ca")
    return ReloadingTls(files, on_change, build_context)


def _load_mesh(config: Config, on_change: OnChange) -> ReloadingTls | None:
    """The certificate must name this node."""
    mesh = config.mesh
    if not config.mesh_enabled:
        return None
    tls = ReloadingTls(TlsFiles("mesh", mesh.tls_cert, mesh.tls_key, mesh.tls_ca), on_change, build_context)
    if config.node.id not in tls.material.names:
        names = ", ".join(sorted(tls.material.names)) or "none"
        raise CertificateError(f"mesh.tls_cert: {mesh.tls_cert} names {names}, but not DNS:{config.node.id}")
    return tls
