"""What one end of a hop claims about an epoch when a stream is new: where it stands, under a tag."""

from __future__ import annotations

from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class EpochClaim:
    """Where the claimant stands in one epoch, which was made with `suite`; `tag` binds it to the stream.

    `order`: the highest of the other end's offers that the claimant has answered, for one whose clock is behind.
    """

    epoch: int
    suite: int
    transcript_hash: bytes
    send_next: int
    recv_next: int
    recv_proven: int
    order: int
    tag: bytes
