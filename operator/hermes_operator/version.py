"""Version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def operator_version() -> str:
    try:
        return version("hermes-mesh")
    except PackageNotFoundError:
        return "unknown"
