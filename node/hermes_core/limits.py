"""Tunables that more than one part of Hermes reads, each stated once."""

from __future__ import annotations

from typing import Final

WINDOW_MESSAGES: Final = 256
"""Messages an app may have unacknowledged in one chat; the node refuses what is beyond."""
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Content bytes an app may have unacknowledged in one chat."""
