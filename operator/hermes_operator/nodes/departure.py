"""What a node that drains still holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leftover:
    """Apps' streams that are still open, and chats that are still there (admin.proto, DrainStatus)."""

    sessions: int
    live_chats: int
