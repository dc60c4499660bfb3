"""One command, one file; each has `register(subparsers)` and sets `run`, a function of the parsed options to an exit code."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from hermes_ctl.commands import chat, check, completion, node, render, restart, status, version

COMMANDS: Final[tuple[ModuleType, ...]] = (version, status, restart, check, render, chat, node, completion)
