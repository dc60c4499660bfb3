"""One stream as the node sees it: what was asked and heard on it, who proved to be there, whether it was ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.x25519 import EphemeralKey
from hermes_core.protocol.session import AppClaim, Challenge, Connect
from hermes_core.relay.neighbour import Link, StreamId
from hermes_core.session.control import ControlReader
from hermes_core.token_bucket import TokenBucket

VAIN_BURST: Final = 1024
VAIN_REFILL_S: Final = 0.05
"""Frames that were sent in vain: looked up, perhaps opened, and answered, 30 to 100 µs each. What is under way of a chat when
it changes costs nothing, so an honest sender uses up some of them at most."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an app was asked, and the key that its answer needs."""

    challenge: Challenge
    ephemeral: EphemeralKey


class Session:
    """One stream. `link` is None until somebody proved who they are on it; `ending`: it was ended, and is not listened to.

    `question` is there until it was answered, `reader` from then on. `held`: its answer, true, while the mark in it is judged.
    `claim`: of an app that proved itself. `sought`: somebody asked for their home here.
    """

    __slots__ = (
        "claim", "ending", "heard_at", "held", "invalid_batches", "link", "opened_at", "question", "reader", "sequence",
        "sought", "stream", "too_slow", "vain",
    )  # fmt: skip

    def __init__(self, stream: StreamId, question: Question | None, now: float) -> None:
        self.stream = stream
        self.question = question
        self.reader: ControlReader | None = None
        self.held: Connect | None = None
        self.claim: AppClaim | None = None
        self.sought = False
        self.opened_at = now
        self.heard_at = now
        self.link: Link | None = None
        self.invalid_batches = 0
        self.vain: TokenBucket | None = None
        self.sequence = 0
        self.too_slow = False
        self.ending = False

    def hear(self, now: float) -> None:
        self.heard_at = now

    def ask(self, question: Question) -> None:
        self.question = question

    def take_question(self) -> Question | None:
        """It serves one answer."""
        question, self.question = self.question, None
        return question

    def hold(self, connect: Connect | None) -> None:
        """Whoever is there proved it, and is taken in when its mark is judged."""
        self.held = connect

    def seek(self) -> bool:
        """Whether it is the first time that a home is asked for."""
        first, self.sought = not self.sought, True
        return first

    def prove(self, link: Link, reader: ControlReader, claim: AppClaim | None = None) -> None:
        """Somebody proved who they are; `link` is the stream that stands to them, `reader` knows what they really said."""
        self.link = link
        self.claim = claim
        self.reader = reader

    def count_invalid(self) -> int:
        self.invalid_batches += 1
        return self.invalid_batches

    def count_vain(self, now: float) -> bool:
        """A frame was sent in vain; whether there were too many."""
        if self.vain is None:
            self.vain = TokenBucket(VAIN_BURST, VAIN_REFILL_S, now)
        spent = bool(self.vain.peek(now))
        if not spent:
            self.vain.take()
        return spent

    def next_heartbeat(self) -> int:
        self.sequence += 1
        return self.sequence

    def cut_off(self) -> None:
        """It does not read what is sent to it."""
        self.too_slow = True

    def end(self) -> None:
        """Nothing is listened to any more."""
        self.ending = True
        self.wipe()

    def wipe(self) -> None:
        if self.reader is not None:
            self.reader.wipe()
