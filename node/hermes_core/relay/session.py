"""One stream as the node sees it: what was asked and heard on it, who proved to be there, whether it was ended."""

from __future__ import annotations

from hermes_core.protocol.session import Challenge
from hermes_core.relay.neighbour import Link, StreamId


class Session:
    """One stream. `link` is None until somebody proved who they are on it; `ending`: it was ended, and is not listened to."""

    __slots__ = ("challenge", "ending", "heard_at", "invalid_batches", "link", "opened_at", "sequence", "stream", "too_slow")

    def __init__(self, stream: StreamId, challenge: Challenge, now: float) -> None:
        self.stream = stream
        self.challenge = challenge
        self.opened_at = now
        self.heard_at = now
        self.link: Link | None = None
        self.invalid_batches = 0
        self.sequence = 0
        self.too_slow = False
        self.ending = False

    def hear(self, now: float) -> None:
        self.heard_at = now

    def prove(self, link: Link) -> None:
        """Somebody proved who they are; `link` is the stream that stands to them."""
        self.link = link

    def count_invalid(self) -> int:
        self.invalid_batches += 1
        return self.invalid_batches

    def next_heartbeat(self) -> int:
        self.sequence += 1
        return self.sequence

    def cut_off(self) -> None:
        """It does not read what is sent to it."""
        self.too_slow = True

    def end(self) -> None:
        self.ending = True
