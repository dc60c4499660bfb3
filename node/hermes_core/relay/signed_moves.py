"""The highest signed move of each app of a chat: which of two is newer, and who is told that they know an older one."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.move import SignedMove, verify_move
from hermes_core.ids import Party
from hermes_core.protocol.messages import Moved
from hermes_core.relay.context import ChatContext
from hermes_core.relay.hops import Hops
from hermes_core.relay.neighbour import Link, Neighbour
from hermes_core.relay.standing import Standing


class SignedMoves:
    """The owner of them: `pair`, of the app behind hop 0 and of the one behind hop 1."""

    __slots__ = ("_context", "_hops", "_standing", "pair")

    def __init__(self, context: ChatContext, hops: Hops, standing: Standing) -> None:
        self._context = context
        self._hops = hops
        self._standing = standing
        self.pair: tuple[SignedMove | None, SignedMove | None] = (None, None)

    def __getitem__(self, index: int) -> SignedMove | None:
        return self.pair[index]

    def restore(self, pair: tuple[SignedMove | None, SignedMove | None]) -> None:
        """What the record says."""
        self.pair = pair

    def home_of(self, index: int) -> Party | None:
        """Where the app behind this hop moved to last; None: it never moved, as far as anybody here knows."""
        move = self.pair[index]
        return None if move is None else move.home

    def find_mover(self, move: SignedMove) -> int:
        """The hop of the app that says that it moves; AUTH_FAILED for a move of other apps."""
        apps = self._hops.app_ids
        for index in (0, 1):
            if (move.mover, move.peer) == (apps[index], apps[1 - index]):
                return index
        raise ProtocolError(ErrorCode.AUTH_FAILED, "the move names other apps than the chat's")

    def verify(self, index: int, move: SignedMove) -> None:
        """ProtocolError for one that the app behind this hop did not sign."""
        verify_move(self._hops.chat_id, move, self._hops[index].app_id, self._hops[1 - index].app_id)

    def note(self, index: int, move: SignedMove) -> None:
        """Durable before anything that follows from it leaves."""
        if self.pair[index] != move:
            self.pair = (move, self.pair[1]) if index == 0 else (self.pair[0], move)
            self._standing.note_change()

    # who is told

    def tell(self, index: int, receiver: Neighbour) -> None:
        """Where this app moved to, if it did."""
        move = self.pair[index]
        if move is not None:
            self._context.effects.answer(receiver, Moved(self._hops.chat_id, move))

    def answer_overtaken(self, index: int, move: SignedMove, sender: Neighbour) -> bool:
        """Whether a higher one is known than this: its sender hears that, and nothing comes of the lower one."""
        known = self.pair[index]
        if known is None or _rank(move) >= _rank(known):
            return False
        self.tell(index, sender)
        return True

    def answer_former(self, link: Link) -> bool:
        """Whether a node that takes itself for an app's home was overtaken: it hears with what."""
        homes = {self.home_of(index) for index in (0, 1)}
        if homes == {None} or link.party in homes:
            return False
        for index in (0, 1):
            self.tell(index, link.neighbour)
        return True


def _rank(move: SignedMove) -> tuple[int, bytes]:
    """Which of two moves is newer. An app whose store was put back may sign a number twice: all nodes choose the same."""
    return move.number, move.signature
