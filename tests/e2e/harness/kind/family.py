"""The families of addresses that pods and services of a cluster have."""

from __future__ import annotations

from enum import StrEnum


class Family(StrEnum):
    """By the names that kind gives them."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DUAL = "dual"

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the protocol, that of the first address of each pod before the other."""
        return {Family.IPV4: (4,), Family.IPV6: (6,), Family.DUAL: (4, 6)}[self]


def family_of(versions: tuple[int, ...]) -> Family | None:
    """Return the family whose pods have addresses of just these versions."""
    return next((family for family in Family if family.versions == versions), None)
