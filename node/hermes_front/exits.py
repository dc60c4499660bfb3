"""Why a front's process ended, as its exit code says it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    """It was told to stop, or its owner is gone."""
    LINK = 3
    """Its owner said what cannot be understood."""
    MEMORY = 4
    """It may have no more memory."""
    DEFECT = 5
    NOT_CONFINED = 6
    """The system has what takes away what it does not need, and refused it."""
