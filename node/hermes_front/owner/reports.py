"""What an owner's fronts report, to whoever logs and counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hermes_front.link.payloads import FrontHello, Told
from hermes_h2.events import Refusal


class EndReason(StrEnum):
    """Why a front's process is gone."""

    STOPPED = "stopped"
    """It was told to, as its node stops."""
    EXITED = "exited"
    """By itself, or by a signal of somebody else."""
    UNANSWERED = "unanswered"
    """It did not answer, or did not take what it was told: it was killed."""
    MEMORY = "memory"
    """It had more than it may, or could have no more."""
    RULE = "rule"
    """It broke a rule of the link: a defect, or it is not ours any more. It was killed."""


@dataclass(frozen=True, slots=True)
class FrontEnded:
    """`detail`: the rule, or how the process ended. `streams`: that end with it."""

    front: int
    reason: EndReason
    detail: str
    streams: int
    again_in_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all fronts together; what counts up goes on over their ends."""

    running: int = 0
    resident_bytes: int = 0
    connections: int = 0
    strangers: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    frames_in: int = 0
    frames_out: int = 0
    waits: int = 0
    """How often a stream had to wait since the front, or its peer, took nothing."""


class FrontObserver(Protocol):
    def started(self, front: int, pid: int, hello: FrontHello) -> None: ...
    def ended(self, report: FrontEnded) -> None: ...
    def told(self, told: Told) -> None:
        """A refusal in words; not each of them."""
        ...

    def count_refused(self, refusal: Refusal, count: int) -> None: ...
    def failed(self, what: str, *, of_system: bool) -> None:
        """Something in a front, which goes on."""
        ...

    def defect(self, error: Exception) -> None:
        """A handler failed."""
        ...
