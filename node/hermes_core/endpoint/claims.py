"""Where the other app says it stands: asked for once a start, and what two stores that do not fit have lost.

An app that comes back sends nothing new in a chat before the other's claim: its store may be an older copy of itself, which
does not know what it has said since. Whoever is asked asks back, so that both know.
"""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import generate_bytes
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.context import ChatContext
from hermes_core.endpoint.events import Missing, StoresDiffer
from hermes_core.endpoint.hop import Hop
from hermes_core.protocol.payload import encode_ask, encode_claim
from hermes_core.ratchet.chat_claim import CLAIM_NONCE_BYTES, ChatClaim, MessageCursor

NO_NONCE: Final = b""


class PeerClaims:
    """Owns the ask that waits for its claim.

    `blocked`: nothing new is sent, since the other app has not said where it stands, or new keys must come first.
    """

    __slots__ = (
        "_answered",
        "_asked_at",
        "_asked_with",
        "_channels",
        "_context",
        "_hop",
        "_nonce",
        "_renewed",
        "awaited",
        "blocked",
        "unshared",
    )

    def __init__(self, context: ChatContext, channels: ChannelPair, hop: Hop) -> None:
        self._context = context
        self._channels = channels
        self._hop = hop
        self._nonce = NO_NONCE
        self._answered = NO_NONCE
        self._asked_at: float | None = None
        self._asked_with = MessageCursor(0, 0, 1)
        """Where this app stood when it first asked with this nonce: a claim was made after that, however late it comes."""
        self._renewed = False
        """Keys were agreed on in this start: whatever a store has forgotten, no position of theirs."""
        self.awaited = False
        self.blocked = False
        self.unshared = False
        """A claim of the other app, or a rekey of one of the two, was of an epoch that the other does not hold."""

    def await_first(self) -> None:
        """The chat is of a former start."""
        self.awaited = self.blocked = True

    # asking

    def lose_path(self) -> None:
        self._asked_at = None

    def ask(self, cursor: MessageCursor, now: float) -> None:
        """Ask, if there is something to ask and it is time; the path is up."""
        if self.awaited and (self._asked_at is None or now >= self._asked_at + self._context.params.retransmit_s):
            self._asked_at = now
            if not self._nonce:
                self._nonce, self._asked_with = generate_bytes(CLAIM_NONCE_BYTES, self._context.random), cursor
            self._hop.send(encode_ask(self._nonce), now)

    @property
    def ask_due(self) -> float | None:
        """When to ask again."""
        return None if not self.awaited or self._asked_at is None else self._asked_at + self._context.params.retransmit_s

    # answering

    def answer(self, nonce: bytes, cursor: MessageCursor, now: float) -> bool:
        """Claim every epoch that is held. True when the other app asks for the first time in its start: ask back."""
        is_new = nonce != self._answered
        self._answered = nonce
        if is_new and not self.awaited:
            self.awaited = True
            self._asked_at, self._nonce = None, NO_NONCE
            self.ask(cursor, now)
        for claim in self._channels.end_to_end.chat_claims(nonce, cursor):
            self._hop.send(encode_claim(claim), now)
        return is_new

    # comparing

    def take(self, claim: ChatClaim, cursor: MessageCursor) -> StoresDiffer | None:
        """What an answer to our ask says; nothing when the two fit, or it answers no ask of ours.

        KEY_VERSION_MISMATCH for one of an epoch that is not held, AUTH_FAILED; nothing changes then.
        """
        if not self.awaited or claim.nonce != self._nonce:
            return None
        behind = self._channels.end_to_end.check_chat_claim(claim)
        self.awaited, self._nonce, self._asked_at = False, NO_NONCE, None
        theirs = claim.cursor
        ours = theirs.delivered > cursor.last_seq or theirs.lowest > cursor.delivered + 1 or behind
        before = self._asked_with
        others = before.delivered > theirs.last_seq or before.lowest > theirs.delivered + 1
        self.blocked = ours and not self._renewed
        if not ours and not others:
            return None
        if ours:
            sent = Missing(cursor.last_seq + 1, theirs.delivered)
            received = Missing(cursor.delivered + 1, theirs.lowest - 1)
        else:
            sent = Missing(theirs.delivered + 1, before.lowest - 1)
            received = Missing(theirs.last_seq + 1, before.delivered)
        return StoresDiffer(self._channels.chat_id, ours, sent, received)

    def note_unshared(self) -> None:
        self.unshared = True

    def note_shared(self) -> None:
        self.unshared = False

    def note_epoch(self) -> None:
        """New keys: what waited for them may go."""
        self._renewed = True
        self.blocked = self.blocked and self.awaited
