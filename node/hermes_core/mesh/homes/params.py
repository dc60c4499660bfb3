"""Times and bounds of the directory."""

from __future__ import annotations

from dataclasses import dataclass

HOLDERS = 3


@dataclass(frozen=True, slots=True)
class HomesParams:
    """Times in seconds. `max_held`: entries that are held for others; `max_under_way`: look-ups at once."""

    refresh_s: float = 600.0
    """How often an entry is sent to its holders again: what one of them lost is back after that."""
    resend_s: float = 5.0
    """How long a holder has to say that it took entries in, before they are sent again."""
    answer_s: float = 1.0
    """How long a holder has to answer, before the next one is asked."""
    kept_s: float = 24 * 3600.0
    """How long an app that is gone, or whose home is, is known."""
    lapse_s: float = 1800.0
    """How long an entry stands whose home is up and did not send it again: the app has other holders by then."""
    entries_a_message: int = 128
    words_a_pass: int = 256
    """Entries that are put into messages at once: each may be a signature."""
    swept_a_pass: int = 1024
    """Own apps whose holders are looked up at once, when members came or went."""
    max_held: int = 65_536
    max_gone: int = 65_536
    max_under_way: int = 4096
    asked_burst: int = 20_000
    """Look-ups that one member may ask of this node at once: twice one for each of 10,000 apps, whose chats all look for
    somebody when a node began anew, in a mesh in which there is no other node to ask."""
    asked_refill_s: float = 0.001
    """One more after each: they all ask again in 30 s, a third of this. Each is 0.1 ms with its stream, a tenth of a core."""
    named_s: float = 60.0
    """How often one that asks too much is named."""
