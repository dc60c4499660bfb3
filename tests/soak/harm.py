"""What a fault did, as its report says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Harm:
    """`targets`: to whom; `nothing`: why it had no effect, "" when it had; times are seconds of the run."""

    kind: str
    number: int
    began: float
    ended: float = 0.0
    targets: tuple[str, ...] = ()
    nothing: str = "it was not over before the end"
