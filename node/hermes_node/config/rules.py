"""What one field alone cannot say: required settings, addresses, and settings that only make sense together."""

from __future__ import annotations

from pathlib import Path

from hermes_core.errors import ConfigError, ProtocolError
from hermes_core.ids import parse_node_id
from hermes_node.config.addresses import parse_address, parse_seed
from hermes_node.config.sections import Config


def check_config(config: Config) -> None:
    """Raise ConfigError for the first rule that is broken."""
    _check_node(config)
    _check_addresses(config)
    _check_tls(config)
    _check_timings(config)


def _check_node(config: Config) -> None:
    if not config.node.id:
        raise ConfigError("node.id", "is required: a DNS label, for instance the pod's name (or set HERMES_NODE_ID)")
    try:
        parse_node_id(config.node.id)
    except ProtocolError as error:
        raise ConfigError("node.id", f"{config.node.id!r}: {error.detail}") from None


def _check_addresses(config: Config) -> None:
    parse_address(config.app.listen, "app.listen")
    parse_address(config.admin.listen, "admin.listen")
    if config.mesh.listen:
        parse_address(config.mesh.listen, "mesh.listen")
    for field, text in (("app.advertise", config.app.advertise), ("mesh.advertise", config.mesh.advertise)):
        if text and parse_address(text, field).port == 0:
            raise ConfigError(field, f"{text!r} needs a port")
    for index, text in enumerate(config.mesh.seeds):
        parse_seed(text, f"mesh.seeds[{index}]")


def _check_tls(config: Config) -> None:
    if bool(config.app.tls_cert) != bool(config.app.tls_key):
        missing = "app.tls_key" if config.app.tls_cert else "app.tls_cert"
        raise ConfigError(missing, "app.tls_cert and app.tls_key belong together")
    if config.app.tls_client_ca and not config.app.tls_cert:
        raise ConfigError("app.tls_client_ca", "needs app.tls_cert and app.tls_key")
    if not config.mesh_enabled:
        if config.mesh.seeds:
            raise ConfigError("mesh.seeds", "needs mesh.listen")
        return
    for name in ("tls_cert", "tls_key", "tls_ca"):
        if not getattr(config.mesh, name):
            raise ConfigError(
                f"mesh.{name}", 'is required: nodes always use mutual TLS (a single node may set mesh.listen = "")'
            )


def _check_timings(config: Config) -> None:
    if config.mesh.dead_after_s < 2 * config.mesh.heartbeat_interval_s:
        raise ConfigError("mesh.dead_after_s", "must be at least twice mesh.heartbeat_interval_s")
    if config.crypto.window > config.crypto.max_skip:
        # A restarted side is up to `window` positions ahead of its peer, who must be able to follow.
        raise ConfigError("crypto.window", "must not exceed crypto.max_skip")
    if config.keystore.argon2_memory_kib < 8 * config.keystore.argon2_lanes:
        raise ConfigError("keystore.argon2_memory_kib", "must be at least 8 for each of keystore.argon2_lanes")
    if not config.keystore.path and not Path(config.node.data_dir).is_absolute():
        raise ConfigError("node.data_dir", f"{config.node.data_dir!r} must be an absolute path")
