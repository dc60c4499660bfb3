"""One command, one file; each has `register(subparsers)` and sets `run`, a function of the parsed options to an exit code.

A file in this folder is a command: nothing else lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def load_commands() -> list[ModuleType]:
    """Every command of this package, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]
