"""The search for the other app's home: where our app's move is offered next, and when our app is asked for one to search with.

A chat that has no path and whose other app is somewhere else than the hop leads to looks for it there, again and again.
"""

from __future__ import annotations

from typing import Final

from hermes_core.ids import AppId, NodeId, Party, node_of_party
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol import messages as m
from hermes_core.relay.appeal import Appeal
from hermes_core.relay.candidate import Candidate
from hermes_core.relay.candidates import Candidates
from hermes_core.relay.context import ChatContext
from hermes_core.relay.hop import Hop
from hermes_core.relay.hops import Hops
from hermes_core.relay.neighbour import Link, app_neighbour, node_neighbour
from hermes_core.relay.rows import Row
from hermes_core.relay.signed_moves import SignedMoves
from hermes_core.relay.standing import Standing

MAX_FOLLOWED: Final = 4
"""Homes that are asked one after the other, as each says that the other app's side went to the next."""


class HomeSearch:
    """The owner of when and where it goes on, and of who said what: `at` is when; None: nobody is looked for."""

    __slots__ = (
        "_asked",
        "_awaited",
        "_candidates",
        "_context",
        "_denied_by",
        "_followed",
        "_hops",
        "_next_home",
        "_row",
        "_signed",
        "_standing",
        "appeal",
        "at",
    )

    def __init__(
        self, context: ChatContext, row: Row, hops: Hops, standing: Standing, signed: SignedMoves, candidates: Candidates
    ) -> None:
        """The hop that it offers to whoever is asked is one of the `candidates`."""
        self._context = context
        self._row = row
        self._hops = hops
        self._standing = standing
        self._signed = signed
        self._candidates = candidates
        self._asked: Party | None = None
        self._next_home: Party | None = None
        self._awaited: Party | None = None
        """Who was named, and the stream to it is dialled."""
        self._followed = 0
        self._denied_by: Party | None = None
        """Which node behind a tieline said that it has no such chat."""
        self.at: float | None = None
        self.appeal = Appeal(row.chat_id)

    # who is looked for

    def find_seeker(self) -> int | None:
        """The hop of our app, whose move looks for the other one's home."""
        for index in (0, 1):
            if self._signed.home_of(index) == self._context.party and self._is_missing(self._hops[1 - index]):
                return index
        return None

    def _is_missing(self, hop: Hop) -> bool:
        """Nobody knows where its app is; or its leg here is away, or it is connected elsewhere: this record may be old."""
        if hop.is_leg:
            return hop.unbound or app_neighbour(hop.app_id) not in self._context.links
        if not hop.state.ready and self._is_forgotten(hop):
            return True
        return not hop.leads_on and self._context.directory.locate(hop.app_id) not in {None, hop.neighbour.node_id}

    def _is_forgotten(self, hop: Hop) -> bool:
        """The node behind this tieline has no such chat: it says so, or another one bears its name."""
        link = self._context.links.get(hop.neighbour)
        return link is not None and (link.party != hop.channel.peer or link.party == self._denied_by)

    @property
    def missing(self) -> AppId | None:
        """The app whose home is looked for."""
        seeker = self.find_seeker()
        return None if seeker is None else self._hops[1 - seeker].app_id

    # where, and when

    def look_again(self, now: float) -> None:
        """Somebody may be where they were not, or the stream be there to whom the last one named."""
        self._next_home = self._take_awaited()
        self.at = None if self.find_seeker() is None else now

    def _take_awaited(self) -> Party | None:
        if self._awaited is None or node_neighbour(node_of_party(self._awaited)) not in self._context.links:
            return None
        named, self._awaited = self._awaited, None
        return named

    def wait(self, now: float, at_least_s: float = 0.0) -> None:
        """It goes on after a while."""
        self.at = now + max(self._context.params.resume_retry_s, at_least_s)

    def follow(self, index: int, home: Party, now: float) -> None:
        """Whoever was asked says where the other app's side is: ask there next, so many times in a round."""
        self._candidates.drop(index)
        self.wait(now)
        if self._followed < MAX_FOLLOWED:
            self._followed += 1
            self._next_home, self.at = home, now

    def seek(self, now: float) -> None:
        """Offer our app's move to the node where the other app is; one that is here is asked to move its side."""
        index = self.find_seeker()
        self.at = None
        if index is None:
            return
        self.wait(now)
        asked = self._candidates[1 - index]
        if asked is not None and self._context.links.get(asked.link.neighbour) is asked.link:
            return
        if self._next_home is None:
            self._followed = 0
            self._ask_for(self._hops[1 - index].app_id, now)
        chat_id, move, peer = self._row.chat_id, self._signed[index], self._hops[1 - index].app_id
        links = self._context.links
        if app_neighbour(peer) in links:  # its hop is unbound, or it would not be missing
            self._context.effects.send(app_neighbour(peer), m.MoveWanted(chat_id), self._row.put_in)
            return
        link = self._find_home(1 - index)
        if link is None or move is None:
            return
        channel = self._context.build_channel(chat_id, link, floor=self._hops[1 - index].channel.least_suite)
        statement = channel.start_offer(now)
        self._candidates.begin(Candidate(1 - index, link, channel, move, now, offered=True))
        self._asked = link.party
        self._context.effects.send(link.neighbour, m.MoveOffer(chat_id, move, statement), self._row.put_in)

    def _ask_for(self, app_id: AppId, now: float) -> bool:
        """Whether the mesh is asked where this app is, since what is known is old; the answer makes the chat look again."""
        if app_neighbour(app_id) in self._context.links or self._context.directory.was_asked(app_id, now):
            return False
        self._context.whereabouts.ask(app_id, now)
        return True

    def _find_home(self, index: int) -> Link | None:
        """Who is asked next: whom the last one named, else where the app is, or was when anybody last heard of it."""
        peer, known = self._hops[index].app_id, self._signed.home_of(index)
        named, self._next_home = self._next_home, None
        directory = self._context.directory
        if named is not None:
            link = self._link_to(node_of_party(named))
            self._awaited = named if link is None else None
            return link if link is not None and link.party == named else None
        node_id = directory.locate(peer)
        if node_id is None:
            node_id = directory.last_home(peer) if known is None else node_of_party(known)
        return None if node_id is None else self._link_to(node_id)

    def _link_to(self, node_id: NodeId) -> Link | None:
        """The stream to this node; where there is none, one is wanted."""
        link = self._context.links.get(node_neighbour(node_id))
        if link is None and node_id != node_of_party(self._context.party):
            self._context.effects.want(node_id)
        return link

    # what whoever was asked says

    def is_asked(self, link: Link) -> bool:
        """Whether somebody is looked for, and this node was asked last."""
        return self.at is not None and self._asked == link.party

    def note_denial(self, node: Party) -> None:
        """The node behind the tieline has no such chat."""
        self._denied_by = node

    def hear_end(self, closed: m.Closed, now: float) -> None:
        """The other app's home knows that the chat is over, or has given it up as well."""
        seeker = self.find_seeker()
        if closed.final:
            self._standing.end(closed.reason, () if seeker is None else {1 - seeker}, closed.proofs)
        elif seeker is not None:
            self._candidates.drop(1 - seeker)
            self.wait(now)

    # when there has been no path for long

    def appeal_to_app(self, now: float) -> None:
        """There has been no path for long, and the other app is connected: ours is asked for a move, to look for it with.

        Its home lost the chat, or is lost with the word of its end. It moves its side, or says that the chat is over.
        """
        if self._hops.lead_on:
            self.appeal.end()
            return
        asked = [self._ask_for(hop.app_id, now) for hop in self._hops if not hop.leads_on]
        if any(asked) and self.appeal.wait_for_answer(now):
            return
        self.appeal.postpone(now)
        if self._standing.state is ChatState.PENDING:  # until its first confirmation there is nothing to move
            return
        for index in (0, 1):
            ours, other = self._hops[index], self._hops[1 - index]
            if not ours.is_leg or ours.unbound or ours.neighbour not in self._context.links or not self._is_astray(other):
                continue
            if self._signed.home_of(index) != self._context.party:
                ours.send(m.MoveWanted(self._row.chat_id))
            elif self.at is None:
                self.look_again(now)

    def _is_astray(self, hop: Hop) -> bool:
        """The app behind this hop is where it can be asked, and the hop does not lead there."""
        node_id = self._context.directory.locate(hop.app_id)
        if node_id is None or not self._is_missing(hop):
            return False
        here = app_neighbour(hop.app_id) in self._context.links
        return here or self._context.effects.dials_on_demand or self._link_to(node_id) is not None
