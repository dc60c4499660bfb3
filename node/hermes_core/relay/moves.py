"""Moves of a chat's apps as a node takes part in them: as an app's new home, as the other app's home, as a former home.

A new home takes the app in at once and looks for the other app's home with the signed move, until that has answered. Whoever
answers for a new hop keeps the old one until the new one is confirmed; an overtaken number is answered with the highest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hermes_core.crypto.hashing import equal_tags
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.move import SignedMove, hash_leg_offer
from hermes_core.ids import AppId, ChannelKind, node_of_party
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol import messages as m
from hermes_core.relay.admission import charge
from hermes_core.relay.candidate import Candidate
from hermes_core.relay.candidates import Candidates
from hermes_core.relay.context import ChatContext
from hermes_core.relay.events import ChatMoved
from hermes_core.relay.handshake import Handshake
from hermes_core.relay.home_search import HomeSearch
from hermes_core.relay.hop import Hop
from hermes_core.relay.hop_states import HopInput
from hermes_core.relay.hops import Hops
from hermes_core.relay.lifetime import Lifetime
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour
from hermes_core.relay.rows import Row
from hermes_core.relay.signed_moves import SignedMoves
from hermes_core.relay.standing import CURE, Standing
from hermes_core.token_bucket import TokenBucket

MOVE_BURST: Final = 4
MOVE_REFILL_S: Final = 30.0
"""Moves of one chat that the other app's home takes part in: each is a handshake, and a hop that is made anew."""


class Awaited(NamedTuple):
    """A message about the hop that is made of `candidate`; None: about one that was not made, or that nobody has yet."""

    link: Link
    message: m.ChatMessage
    candidate: Candidate | None


class Moves:
    """The owner of the hops that are being made, and of what one chat may cost; `signed` and `search` own the rest."""

    __slots__ = (
        "_bucket",
        "_candidates",
        "_context",
        "_handshake",
        "_hops",
        "_lifetime",
        "_row",
        "_standing",
        "search",
        "signed",
        "wanted",
    )

    def __init__(
        self, context: ChatContext, row: Row, hops: Hops, standing: Standing, lifetime: Lifetime, handshake: Handshake
    ) -> None:
        self._context = context
        self._row = row
        self._hops = hops
        self._standing = standing
        self._lifetime = lifetime
        self._handshake = handshake
        self._bucket: TokenBucket | None = None
        self._candidates = Candidates()
        self.signed = SignedMoves(context, hops, standing)
        self.search = HomeSearch(context, row, hops, standing, self.signed, self._candidates)
        self.wanted: AppId | None = None
        """Who was asked here to move its side, since another node looks for it."""

    def restore(self, signed: tuple[SignedMove | None, SignedMove | None], now: float) -> None:
        """What the record says; a search that was not over goes on."""
        self.signed.restore(signed)
        self.search.look_again(now)
        self.search.appeal.note_loss(now, anew=True)

    # an app moves

    def receive_offer(self, link: Link, offer: m.MoveOffer, now: float) -> None:
        """Answer for the hop of a move: our app's leg, or a tieline to its new home. ProtocolError, and nothing changes.

        An outdated number is answered with the highest. The same move may be offered again: its answer was lost.
        """
        move, index = offer.move, self.signed.find_mover(offer.move)
        if self.signed.answer_overtaken(index, move, link.neighbour):
            return
        self._check_home(link, offer)
        if link.neighbour.node_id is not None and not self._is_home_of(1 - index, link, now):
            return
        self._context.admission.charge_move((link.neighbour.node_id, move.mover), now)
        if move != self.signed[index]:
            self.signed.verify(index, move)
            if link.neighbour != self._row.neighbours[index]:  # not of an app whose leg here is made anew
                self._charge(now)
        if self._stands_against(index, link):
            self.signed.note(index, move)
            return
        channel = self._context.build_channel(offer.chat_id, link, floor=self._hops[index].channel.least_suite)
        answer = channel.prepare_answer(channel.verify_offer(offer.hop), now)
        channel.adopt_answer(answer)
        self.signed.note(index, move)
        self._candidates.begin(Candidate(index, link, channel, move, now, offered=False))
        self._leave_former(index, link, now)
        message = m.MoveAnswer(offer.chat_id, move.number, answer.answer, answer.tag)
        self._context.effects.send(link.neighbour, message, self._row.put_in)
        app = app_neighbour(move.mover)
        if link.neighbour.node_id is not None and self._hops[index].is_leg and app in self._context.links:
            self.signed.tell(index, app)  # it went back here without a word to that node: if so it signs the next number

    def _leave_former(self, index: int, link: Link, now: float) -> None:
        """Whoever offers this hop anew has left the one that is there: nothing passes over that one any more.

        After our answer a frame of the former hop would be taken for one of the new hop, with all before it missing.
        """
        hop = self._hops[index]
        if link.neighbour == self._row.neighbours[index] and hop.state.ready:
            self.search.appeal.note_loss(now, anew=hop.leads_on)
            hop.apply(HopInput.LOSE)
            self._handshake.fail(ErrorCode.ROUTE_UNAVAILABLE)

    def _is_home_of(self, index: int, link: Link, now: float) -> bool:
        """Whether the other app is at home here; if not, the asking node hears where, and an app that is here is asked."""
        hop, context = self._hops[index], self._context
        if hop.is_leg and (not hop.unbound or self._makes_leg(index)):
            return True
        if app_neighbour(hop.app_id) in context.links:
            context.admission.charge_lookup((link.neighbour.node_id, hop.app_id), now)
            context.effects.answer(app_neighbour(hop.app_id), m.MoveWanted(self._row.chat_id))
            self.wanted = hop.app_id
        if not hop.is_leg and self.signed.home_of(index) not in {None, link.party}:
            self.signed.tell(index, link.neighbour)
            return False
        raise ProtocolError(ErrorCode.CHAT_NOT_FOUND, "the other app is at home elsewhere")

    def _makes_leg(self, index: int) -> bool:
        """Our app's leg is answered for, and not confirmed yet."""
        candidate = self._candidates[index]
        return candidate is not None and candidate.link.neighbour.node_id is None

    def _check_home(self, link: Link, offer: m.MoveOffer) -> None:
        """Whoever offers is who the move says: its new home, or, to that, the app itself with the leg that it signed."""
        move = offer.move
        if link.neighbour.node_id is not None:
            if move.home != link.party:
                raise ProtocolError(ErrorCode.AUTH_FAILED, "the move names another home than the node that offers it")
            return
        if move.home != self._context.party or link.public_key != move.mover_key:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "the move names another home, or is another app's")
        if not equal_tags(hash_leg_offer(offer.chat_id, move.mover, move.home, offer.hop), move.leg_hash):
            raise ProtocolError(ErrorCode.AUTH_FAILED, "the move is of another offer")

    def _charge(self, now: float) -> None:
        if self._bucket is None:
            self._bucket = TokenBucket(MOVE_BURST, MOVE_REFILL_S, now)
        charge(self._bucket, now, ErrorCode.HANDSHAKE_THROTTLED)

    def _stands_against(self, index: int, link: Link) -> bool:
        """Both apps moved, and their new homes offer each other a tieline: that of the node with the lower id stands."""
        ours = self._candidates[index]
        return ours is not None and ours.offered and ours.link is link and self._context.party < link.party

    # what comes of it

    def find_awaited(self, link: Link, message: m.ChatMessage) -> Awaited | None:
        """Whether it is about a hop that is being made, or was to be, and comes from there; None for any other."""
        if self._candidates.is_late(message):
            return Awaited(link, message, None)
        ours = self._candidates.find(link, message)
        if ours is not None and not self._is_of_former(ours.index, message):
            return Awaited(link, message, ours)
        return Awaited(link, message, None) if isinstance(message, m.Closed) and self.search.is_asked(link) else None

    def _is_of_former(self, index: int, message: m.ChatMessage) -> bool:
        """Whether it confirms, once more, the hop that is there still: its app said so before it knew that another is made."""
        hop = self._hops[index]
        if not isinstance(message, m.Confirm) or hop.unbound:
            return False
        try:
            hop.channel.verify_confirm(message.hop_epoch, message.hop_confirm)
        except ProtocolError:
            return False
        return True

    def receive(self, awaited: Awaited, now: float) -> None:
        """ProtocolError for what is not authentic, and nothing changes."""
        message, ours = awaited.message, awaited.candidate
        if isinstance(message, m.Closed):
            self.search.hear_end(message, now)
        elif ours is None:
            self._deny(awaited.link)
        elif isinstance(message, m.ErrorNotice) and self._is_denied(ours, message):
            self.leave()
        elif isinstance(message, m.ErrorNotice):
            self._candidates.drop(ours.index)
            self.search.wait(now, at_least_s=message.retry_after_ms / 1000)
        elif self._is_left_by_both(ours):
            self.leave()
        elif isinstance(message, m.MoveAnswer):
            ours.channel.adopt_epoch(ours.channel.prepare_epoch(message.hop, message.hop_confirm, now), now)
            self._place(ours, now).confirm()
        elif isinstance(message, m.Confirm):
            ours.channel.check_confirm(message.hop_epoch, message.hop_confirm, now)
            self._place(ours, now)

    def _is_left_by_both(self, ours: Candidate) -> bool:
        """Neither app is at home here any more: the other one went while this hop was made."""
        return ours.link.neighbour.node_id is not None and not self._hops[1 - ours.index].is_leg

    def _is_denied(self, ours: Candidate, notice: m.ErrorNotice) -> bool:
        return notice.code is ErrorCode.CHAT_NOT_FOUND and self.is_left(ours.index)

    def is_left(self, index: int) -> bool:
        """Of a chat that the node behind this hop does not hold: our app is at home elsewhere, and neither looks for it here.

        Should it come back all the same, it moves in anew.
        """
        ours, home = self._hops[1 - index], self._context.directory.locate(self._hops[1 - index].app_id)
        return ours.is_leg and home is not None and home != node_of_party(self._context.party)

    def leave(self) -> None:
        """Nobody looks for the chat here any more."""
        self._context.effects.report(ChatMoved(self._row.chat_id, ChannelKind.LEG, arrived=False))
        self._standing.leave()

    def _place(self, candidate: Candidate, now: float) -> Hop:
        """The new hop takes the old one's place: its keys count as renewed, a rekey under way as one whose path was lost."""
        index, neighbour = candidate.index, candidate.link.neighbour
        former = self._row.neighbours[index]
        self._candidates.take(candidate)
        self._handshake.fail(ErrorCode.ROUTE_UNAVAILABLE)
        hop, onward = self._bind(index, neighbour, candidate), self._hops[1 - index]
        self._lifetime.note_activity(now)
        self._handshake.enter_epoch(hop, now)
        onward.tell_path(up=False)  # whatever was on its way over the old hop is sent again when the path is up
        if hop.is_leg:
            hop.send(m.PathState(self._row.chat_id, up=False))  # our app sees that its confirmation arrived
            if self._standing.state is ChatState.QUARANTINED:  # what it heard of that before its leg was made anew went with it
                hop.refuse(ProtocolError(ErrorCode.ROLLBACK_DETECTED, CURE))
        if former.node_id is not None and former != neighbour:
            self.signed.tell(index, former)
        self._context.effects.report(ChatMoved(self._row.chat_id, hop.channel.kind, arrived=True))
        self.search.look_again(now)
        return hop

    def _bind(self, index: int, neighbour: Neighbour, candidate: Candidate | None) -> Hop:
        """From here on hop `index` leads to this neighbour; without a candidate to an app whose home is not known."""
        former, build = self._hops[index], self._context.build_unbound
        if candidate is None:
            channel = build(self._row.chat_id, former.app_id, floor=former.channel.least_suite)
        else:
            channel = candidate.channel
        self._context.effects.output.moved.add(self._row.chat_id)
        self._context.index.rebind(self._row, index, neighbour)
        hop = self._hops.rebind(index, channel)
        self._lifetime.forget_epoch(index)
        self._standing.note_change()
        return hop

    # former homes

    def answer_outdated(self, link: Link) -> None:
        """Somebody takes itself for a neighbour and is none: with what it was overtaken, or that its hop was never made."""
        if not self.signed.answer_former(link):
            self._deny(link)

    def _deny(self, link: Link) -> None:
        """Somebody's hop was never made: it makes it anew."""
        error = ProtocolError(ErrorCode.CHAT_NOT_FOUND, "this hop was not made")
        self._context.effects.refuse_frame(link.neighbour, self._row.chat_id, error)

    # an app is at home elsewhere

    def receive_moved(self, link: Link, move: SignedMove, now: float) -> None:
        """Word of a higher number, whoever brings it: an app of ours that is at home elsewhere takes its chat along.

        Who comes with a lower one hears the highest: a former home may have been believed that came back with an old record.
        ProtocolError for one that is not authentic.
        """
        index = self.signed.find_mover(move)
        hop = self._hops[index]
        if self.signed.answer_overtaken(index, move, link.neighbour):
            self._offer_anew(index, link, now)
            return
        if move == self.signed[index]:  # again: its app has had no path for long
            if hop.is_leg and not hop.unbound:
                self.search.look_again(now)
            return
        self.signed.verify(index, move)
        self.signed.note(index, move)
        if hop.is_leg:
            self.signed.tell(index, app_neighbour(hop.app_id))  # it may not know either: its store may be an older copy
        if move.home == self._context.party:
            self.search.look_again(now)
        elif self.search.find_seeker() == 1 - index:
            self.search.follow(index, move.home, now)
        elif hop.is_leg:
            self._lose_app(index, hop)
        elif hop.channel.peer != move.home:  # a home that the app has left was believed
            former = self._row.neighbours[index]
            if self.lose_home(index, now):
                self.search.follow(index, move.home, now)
                self.signed.tell(index, former)

    def _offer_anew(self, index: int, link: Link, now: float) -> None:
        """The node behind the hop to the other app believed a home that our app has left: our move is offered to it again.

        Its record is of before our move, was put back, and met that of the former home. It may have no move to look for us
        with, and would wait for its appeal.
        """
        behind = self._row.neighbours[1 - index] == link.neighbour and link.neighbour.node_id is not None
        if behind and self._candidates[1 - index] is None and self.lose_home(1 - index, now):
            self.search.look_again(now)

    def lose_home(self, index: int, now: float) -> bool:
        """The node behind this hop has no such chat. True: our app's move is offered to whoever has; False: others must act."""
        hop = self._hops[index]
        if hop.is_leg or self.signed.home_of(1 - index) != self._context.party:
            self.search.note_denial(hop.channel.peer)
            return False
        self._handshake.fail(ErrorCode.ROUTE_UNAVAILABLE)
        self._hops[1 - index].tell_path(up=False)
        self._bind(index, app_neighbour(self._hops[index].app_id), None)
        self.search.wait(now)
        return True

    def _lose_app(self, index: int, hop: Hop) -> None:
        """An app of ours is at home elsewhere; what is left here is the other app's side, if that is at home here."""
        onward = self._hops[1 - index]
        left = self.signed.home_of(1 - index) not in {None, self._context.party}
        if hop.unbound or not onward.is_leg or onward.unbound or left:
            self.leave()
            return
        self._context.effects.report(ChatMoved(self._row.chat_id, hop.channel.kind, arrived=False))
        self._handshake.fail(ErrorCode.ROUTE_UNAVAILABLE)
        onward.tell_path(up=False)
        self._bind(index, app_neighbour(hop.app_id), None)

    # its parts

    def ends_at(self) -> float | None:
        """When a hop that is being made is not waited for any longer."""
        return self._candidates.ends_at(self._context.params.handshake_timeout_s)

    def give_up(self, now: float) -> None:
        """Hops that were not made in time came to nothing."""
        self._candidates.give_up(now, self._context.params.handshake_timeout_s)

    def wipe(self) -> None:
        self._candidates.wipe()
