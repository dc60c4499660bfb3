"""What one section alone cannot say: required settings, addresses, settings that only make sense together."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from hermes_core.bounds import LimitError, quote
from hermes_core.errors import ConfigError, ProtocolError
from hermes_core.ids import parse_node_id
from hermes_node.config.addresses import Address, parse_address, parse_network, parse_seed
from hermes_node.config.core_params import build_argon2_params, build_chat_params, build_mesh_params
from hermes_node.config.sections import Config


def check_config(config: Config) -> None:
    """Raise ConfigError for the first rule that is broken."""
    _check_node(config)
    _check_addresses(config)
    _check_tls(config)
    _check_core_params(config)


def _check_node(config: Config) -> None:
    if not config.node.id:
        raise ConfigError("node.id", "is required: a DNS label, for instance the pod's name (or set HERMES_NODE_ID)")
    try:
        parse_node_id(config.node.id)
    except ProtocolError as error:
        raise ConfigError("node.id", f"{quote(config.node.id)}: {error.detail}") from None
    if not config.keystore.path and not Path(config.node.data_dir).is_absolute():
        raise ConfigError("node.data_dir", f"{quote(config.node.data_dir)} must be an absolute path")


def _check_addresses(config: Config) -> None:
    listening = {"app.listen": config.app.listen, "mesh.listen": config.mesh.listen, "admin.listen": config.admin.listen}
    if not config.mesh_enabled:
        del listening["mesh.listen"]
    parsed = {field: parse_address(text, field) for field, text in listening.items()}
    for (field, address), (other, taken) in combinations(parsed.items(), 2):
        if address.overlaps(taken):
            raise ConfigError(field, f"{str(address)!r} is taken by {other}")
    for field, text in (("app.advertise", config.app.advertise), ("mesh.advertise", config.mesh.advertise)):
        if text:
            _check_advertised(parse_address(text, field), field, text)
    for index, text in enumerate(config.mesh.seeds):
        parse_seed(text, f"mesh.seeds[{index}]")
    for index, text in enumerate(config.app.trusted_proxies):
        parse_network(text, f"app.trusted_proxies[{index}]")
    if config.app.fronts > 0 and config.app.transport != "hermes":
        raise ConfigError("app.fronts", 'needs app.transport = "hermes": gRPC\'s library adopts no listening socket')
    if config.app.trusted_proxies and config.app.transport != "hermes":
        raise ConfigError("app.trusted_proxies", 'needs app.transport = "hermes": gRPC\'s library reads no PROXY header')


def _check_advertised(address: Address, field: str, text: str) -> None:
    if address.port == 0:
        raise ConfigError(field, f"{quote(text)} needs a port")
    if address.every:
        raise ConfigError(field, f"{quote(text)} is every address of a machine: set one that others can dial")
    if address.zoned:
        raise ConfigError(field, f"{quote(text)}: an address with a zone means something on this machine alone")


def _check_tls(config: Config) -> None:
    if bool(config.app.tls_cert) != bool(config.app.tls_key):
        missing = "app.tls_key" if config.app.tls_cert else "app.tls_cert"
        raise ConfigError(missing, "app.tls_cert and app.tls_key belong together")
    if config.app.tls_client_ca and not config.app.tls_cert:
        raise ConfigError("app.tls_client_ca", "needs app.tls_cert and app.tls_key")
    if config.app.plaintext and config.app.tls_cert:
        raise ConfigError("app.plaintext", "contradicts app.tls_cert: apps are served with TLS or without")
    if config.app.security == "plain" and not (config.app.plaintext or parse_address(config.app.listen, "app.listen").local):
        raise ConfigError(
            "app.tls_cert",
            f"is required for apps on {quote(config.app.listen)}: set app.tls_cert and app.tls_key; or app.plaintext = true,"
            " behind something that ends TLS; or listen on loopback",
        )
    if not config.mesh_enabled:
        if config.mesh.seeds:
            raise ConfigError("mesh.seeds", "needs mesh.listen")
        return
    for name in ("tls_cert", "tls_key", "tls_ca"):
        if not getattr(config.mesh, name):
            raise ConfigError(
                f"mesh.{name}", 'is required: nodes always use mutual TLS (a single node may set mesh.listen = "")'
            )
    listen = parse_address(config.mesh.listen, "mesh.listen")
    if not config.mesh.advertise and (listen.every or listen.zoned):
        what = "every address of this machine" if listen.every else "an address that means something on this machine alone"
        raise ConfigError(
            "mesh.advertise",
            f"is required with mesh.listen = {quote(config.mesh.listen)}, {what}: set the host:port"
            ' under which the other nodes reach this one (a single node may set mesh.listen = "")',
        )


def _check_core_params(config: Config) -> None:
    """The core judges what it is given once more; that must not happen when the keystore is made already."""
    try:
        build_chat_params(config)
        build_mesh_params(config)
        build_argon2_params(config.keystore)
    except LimitError as error:
        raise ConfigError(error.field, error.detail) from None
