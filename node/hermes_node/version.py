"""The version of the installed distribution."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version


@functools.cache
def read_version() -> str:
    try:
        return version("hermes-mesh")
    except PackageNotFoundError:
        return "0+unknown"
