"""The parameters of a channel, validated once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.hashing import HashId

MAX_SKIP_LIMIT: Final = 4096
MAX_SKIPPED_KEYS: Final = 256
MAX_SKIPPED_TTL_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class ChannelParams:
    """ValueError names the field that is out of bounds.

    `window`: positions made durable ahead of their use (1: strict, one commit per message). `max_skip`: how far a receiver
    follows a gap. `overlap_s`: how long an old epoch can still be read. `max_skipped_keys`, `skipped_ttl_s`: how many keys
    of skipped positions are kept, and how long (0 on legs and tielines, whose transport is ordered).
    """

    hash_id: HashId = HashId.SHA256
    window: int = 256
    max_skip: int = 1024
    overlap_s: float = 30
    max_skipped_keys: int = 0
    skipped_ttl_s: float = 600

    def __post_init__(self) -> None:
        if not 1 <= self.max_skip <= MAX_SKIP_LIMIT:
            raise ValueError(f"max_skip must be between 1 and {MAX_SKIP_LIMIT}")
        if not 1 <= self.window <= self.max_skip:
            # a restart jumps ahead by up to a window; a peer could not follow a larger one
            raise ValueError("window must be between 1 and max_skip")
        if not 0 <= self.max_skipped_keys <= MAX_SKIPPED_KEYS:
            raise ValueError(f"max_skipped_keys must be between 0 and {MAX_SKIPPED_KEYS}")
        if not 0 <= self.skipped_ttl_s <= MAX_SKIPPED_TTL_S:
            raise ValueError(f"skipped_ttl_s must be between 0 and {MAX_SKIPPED_TTL_S}")
        if self.overlap_s < 0:
            raise ValueError("overlap_s must not be negative")
