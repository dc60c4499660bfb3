"""How a node is told to leave, and what it answers: POST /drain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hermes_core.endpoint.patience import MAX_PROMISE_S
from hermes_core.errors import ErrorCode, ProtocolError

_CHATS: Final = {"resume": False, "move": True}
"""What becomes of its chats: whether it leaves for good."""
_QUERY: Final = frozenset({"chats", "back_within_s"})


@dataclass(frozen=True, slots=True)
class Departure:
    """`for_good`: its apps move their chats at once; else it says to be back in `back_within_ms` (0: it promises nothing)."""

    for_good: bool = False
    back_within_ms: int = 0


@dataclass(frozen=True, slots=True)
class DrainCounts:
    """What is still here: apps' streams, and chats."""

    sessions: int
    live_chats: int


def read_departure(query: Mapping[str, str]) -> Departure:
    """`chats=resume` (also without it) or `chats=move`; `back_within_s`, whole seconds. INVALID_FRAME for anything else."""
    chats, back_within = query.get("chats", "resume"), query.get("back_within_s", "0")
    if query.keys() - _QUERY or chats not in _CHATS:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "chats is resume or move, back_within_s a number; there is nothing else")
    if not (back_within.isascii() and back_within.isdigit() and len(back_within) < 6) or int(back_within) > MAX_PROMISE_S:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"back_within_s is a number of seconds, at most {MAX_PROMISE_S}")
    for_good, back_within_s = _CHATS[chats], int(back_within)
    if for_good and back_within_s:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "who leaves for good is not back within any time")
    return Departure(for_good, back_within_s * 1000)
