"""How many fronts serve apps, and whether they fit into the memory that this node may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hermes_core.errors import ConfigError
from hermes_node.config.addresses import parse_address
from hermes_node.config.sections import Config
from hermes_node.host_limits import HostLimits, default_fronts, find_memory_problem, read_host_limits

CHOOSE: Final = -1
"""Of `app.fronts`: as fits the machine."""


def count_fronts(config: Config, read: Callable[[], HostLimits] = read_host_limits) -> int:
    """Where the machine is asked, no more than what its memory has room for."""
    if config.app.transport != "hermes":
        return 0
    if config.app.fronts != CHOOSE:
        return config.app.fronts
    host = read()
    fronts = default_fronts(host.cpus, loopback=parse_address(config.app.listen, "app.listen").local)
    while find_memory_problem(host, fronts, _front_bytes(config)):
        fronts -= 1
    return fronts


def check_fronts(config: Config, read: Callable[[], HostLimits] = read_host_limits) -> None:
    """ConfigError for a number that was set and does not fit: one OOM kill would end the node with its fronts."""
    if config.app.fronts != CHOOSE and (problem := find_memory_problem(read(), config.app.fronts, _front_bytes(config))):
        raise ConfigError("app.fronts", f"{problem}; set fewer, a lower limits.front_memory_mib, or give the node more memory")


def _front_bytes(config: Config) -> int:
    return config.limits.front_memory_mib << 20
