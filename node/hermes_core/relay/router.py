"""NodeChats: every chat of a node as one machine without IO; messages and time go in, puts, sends and events come out.

docs/reference/protocol.md says what flows. The router owns neighbours, admission and notices: it looks up the chat an input is
for and lets it change itself; what that means for paths, store and timers `LiveChats` settles once, when output is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId, Party, derive_app_id, node_party
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.limits import MAX_CHATS_A_TIMER_PASS
from hermes_core.protocol import messages as m
from hermes_core.protocol.payload import parse_frame_chat
from hermes_core.protocol.session import AppClaim
from hermes_core.relay.admission import Admission, AppBudget
from hermes_core.relay.arrivals import Arrivals
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.chat import Chat
from hermes_core.relay.context import ChatContext
from hermes_core.relay.describe import ChatDescription, describe_chat
from hermes_core.relay.directory import ANSWERED_S, AppHome, Directory
from hermes_core.relay.effects import Effects
from hermes_core.relay.events import ResumeRefused
from hermes_core.relay.incoming_offers import IncomingOffers
from hermes_core.relay.live_chats import LiveChats
from hermes_core.relay.neighbour import Link, Neighbour, StreamId
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.params import ChatParams
from hermes_core.relay.past_chats import PastChats
from hermes_core.relay.resumes import Resumes
from hermes_core.relay.rows import ChatIndex, Row
from hermes_core.relay.tombstones import Tombstones
from hermes_core.relay.whereabouts import Whereabouts
from hermes_core.session.keys import StreamKeys

_FROM_BOTH: Final = frozenset({m.Offer, m.Answer, m.Confirm, m.Reject, m.Resume, m.ClosedAck, m.MoveOffer, m.Moved})
_FROM_APP: Final = _FROM_BOTH | {m.Delete}
_FROM_NODE: Final = _FROM_BOTH | {m.Closed, m.PathState, m.ErrorNotice, m.MoveAnswer}


class NodeChats:
    """No method raises for what an outsider sent: it becomes an ErrorNotice (or Reject) to the sender and an event."""

    def __init__(
        self, *, identity: Identity, node_id: NodeId, params: ChatParams, random: RandomSource, kem: Kem = ML_KEM_768
    ) -> None:
        self._links: dict[Neighbour, Link] = {}
        self.effects = Effects(self._links)
        """Sessions put theirs here too, so that everything keeps the order in which it was decided."""
        self._index = ChatIndex()
        self._admission = Admission(params, self._index)
        self._calendar = Calendar()
        self._tombstones = Tombstones(params, self.effects, self._calendar)
        self._past = PastChats(self.effects, self._tombstones)
        party = node_party(node_id, identity.public_key)
        self._directory = Directory(node_id, party, self._links, self._index, self._calendar)
        self._whereabouts = Whereabouts(self.effects)
        self._context = ChatContext(
            params,
            identity,
            party,
            random,
            kem,
            self._links,
            self.effects,
            self._admission,
            self._calendar,
            self._directory,
            self._index,
            self._whereabouts,
        )
        self._chats = LiveChats(self._context, self._past)
        self._arrivals = Arrivals(self._context, self._chats, self._past, self._tombstones)
        self._resumes = Resumes(self._context, self._chats)
        self._offers = IncomingOffers(self._context, self._chats, self._past)

    # what was stored

    def restore(
        self,
        records: Iterable[ChatRecord],
        tombstones: Iterable[Tombstone],
        now: float,
        *,
        keys_in_doubt: bool = False,
    ) -> None:
        """Take up what the keystore held, once, before anything else. Each record is wiped here as soon as it was read.

        `keys_in_doubt`: nobody knows how long they have been used, so each chat is asked for new ones, and ends by no lifetime.
        """
        self._calendar.doubt(doubted=keys_in_doubt)
        for record in records:
            self._chats.restore(record, now, keys_in_doubt=keys_in_doubt)
        for tombstone in sorted(tombstones, key=lambda tombstone: tombstone.created_at_s):
            self._tombstones.restore(tombstone)

    def hold_resumes(self) -> None:
        """No chat is resumed until `release_resumes`: somebody may know that what was restored is not the latest."""
        self._resumes.hold()

    def release_resumes(self, now: float) -> None:
        """Nobody is waited for any longer; what was found before is true of every chat that goes on now."""
        self._resumes.release(self._receive_for_chat, now)

    # streams

    def connected(
        self,
        neighbour: Neighbour,
        stream: StreamId,
        public_key: bytes,
        keys: StreamKeys,
        now: float,
        claim: AppClaim | None = None,
    ) -> Link:
        """A neighbour proved its identity on a new stream with these keys; an older stream of it is void. `claim`: an app's."""
        if neighbour in self._links:
            self.disconnected(neighbour, now)
        if neighbour.app_id is not None and claim is not None:
            self._directory.note_here(neighbour.app_id, claim)
        link = self._links[neighbour] = Link(neighbour, stream, public_key, keys, now)
        self._tombstones.send_all(neighbour)
        rows = self._index.rows_of(neighbour)
        if neighbour.node_id is None:
            for row in rows:  # all down until it resumes them; one it no longer knows it deletes
                self.effects.send(neighbour, m.PathState(row.chat_id, up=False), row.put_in)
            self._chats.look_again(now)
            return link
        self._directory.note_joined(now)
        self._chats.look_again(now)
        self._resumes.begin(link, now)
        if neighbour.node_id is not None:
            self._offers.node_linked(neighbour.node_id, now)
        return link

    def dial_on_demand(self, now: float) -> None:
        """Streams to other nodes are dialled when a chat needs one: `NodeOutput.wants` and `list_needed_nodes` say which."""
        del now
        self.effects.dial_on_demand()

    def list_needed_nodes(self) -> list[NodeId]:
        """Nodes that take part in a chat here, or have not heard of an end of one."""
        return list(dict.fromkeys((*self._index.nodes, *self._tombstones.nodes)))

    def unreachable(self, node_id: NodeId, now: float) -> None:
        """A stream that was wanted cannot be had now: what waits for it is refused."""
        del now
        self._offers.node_unreachable(node_id)

    @property
    def links(self) -> Mapping[Neighbour, Link]:
        """The streams that stand."""
        return self._links

    def link_of(self, neighbour: Neighbour) -> Link | None:
        """The stream that stands to a neighbour."""
        return self._links.get(neighbour)

    def disconnected(self, neighbour: Neighbour, now: float) -> None:
        """Its stream is gone. Idempotent."""
        if self._links.pop(neighbour, None) is None:
            return
        self._resumes.lose(neighbour)
        self._whereabouts.lose(neighbour)
        if neighbour.app_id is not None:
            self._directory.note_away(neighbour.app_id)
        for row in self._index.rows_of(neighbour):
            index = row.index_of(neighbour)
            if index is not None:
                self._chats.change(row, now, Chat.lose, index, now)

    def count_refused(self, budget: AppBudget) -> int:
        """How often apps were refused for having used it up."""
        return self._admission.refused[budget]

    def count_found(self) -> int:
        """Apps that are not connected here, of which this node knows the home."""
        return len(self._directory)

    def judge_stamp(self, app_id: AppId, stamp: int, now: float) -> AppHome | None:
        """As `Directory.judge`: the newer home that a Connect is refused with."""
        return self._directory.judge(app_id, stamp, now)

    def counts_stamp(self, stamp: int, now: float) -> bool:
        """Whether a stamp is one that a node takes, at this time."""
        return self._directory.counts(stamp, now)

    def learn_home(self, party: Party, claim: AppClaim, now: float, *, online: bool) -> bool:
        """What is known of an app's home, verified. True: it is connected here, and its session is over."""
        app_id = derive_app_id(claim.app_key)
        before = self._directory.locate(app_id), self._directory.last_home(app_id)
        gone = self._directory.learn(party, claim, now, online=online)
        self._directory.expire(now)
        if before != (self._directory.locate(app_id), self._directory.last_home(app_id)):
            self._chats.look_again_for(app_id, now)
        return gone

    def lose_node(self, node_id: NodeId) -> None:
        """A node is gone, and its apps are away."""
        self._directory.lose_node(node_id)

    def look_up(self, stream: StreamId, requester: AppId, app_id: AppId, now: float) -> tuple[NodeId | None, bool] | None:
        """Where an app is at home, and whether it is there now: if not, where it was last. (None, False): nobody heard of it.

        None: the mesh is asked, and `end_look_up` names this stream. HANDSHAKE_THROTTLED for one that asks all the time.
        """
        asker = None, requester
        self._admission.charge_lookup(asker, now)
        if not self._directory.is_found(app_id, now, ANSWERED_S):
            self._admission.charge_stranger(asker, now)
            self._whereabouts.hold_question(stream, app_id, now)
            return None
        return self.find_place(app_id)

    def find_place(self, app_id: AppId) -> tuple[NodeId | None, bool]:
        """The same, as far as is known."""
        node_id = self._directory.locate(app_id)
        return (self._directory.last_home(app_id), False) if node_id is None else (node_id, True)

    def end_look_up(self, app_id: AppId, now: float, *, complete: bool) -> list[StreamId]:
        """What the mesh knows of an app was learned; `complete`: somebody said so. Who asked for it, apps' offers apart."""
        self._directory.note_answered(app_id, now)
        offers, questions = self._whereabouts.take(app_id)
        self._offers.look_up_ended(offers, now, answered=complete or self._directory.last_home(app_id) is not None)
        self._chats.look_again_for(app_id, now)
        return questions

    def find_unanswered(self, now: float) -> AppId | None:
        """An app of which the mesh said nothing in time: `end_look_up` is next."""
        return self._whereabouts.find_due(now)

    # messages

    def receive(self, source: Neighbour, message: m.ChatMessage, now: float) -> None:
        """One message of a connected neighbour, its lengths already checked (hermes_core.protocol.validate)."""
        link = self._links.get(source)
        if link is None:
            return
        if isinstance(message, m.Sealed):
            self._relay(link, message, now)
        elif type(message) not in (_FROM_APP if source.node_id is None else _FROM_NODE):
            error = ProtocolError(ErrorCode.INVALID_FRAME, "this message does not go in this direction")
            self.effects.refuse(source, message.chat_id, error)
        elif isinstance(message, m.Offer):
            self._offers.receive(source, message, now)
        elif isinstance(message, m.ClosedAck):
            self._tombstones.acknowledge(source, message.chat_id)
        elif isinstance(message, m.MoveOffer | m.Moved):
            self._receive_move(link, message, now)
        else:
            self._receive_for_chat(source, message, now)

    def _relay(self, link: Link, sealed: m.Sealed, now: float) -> None:
        source = link.neighbour
        self.effects.output.count_frame(leg=source.node_id is None)
        chat_id = parse_frame_chat(sealed.frame)
        chat = self._chats.by_id.get(chat_id)
        index = chat.row.index_of(source) if chat is not None else None
        if chat is None or index is None:
            self._past.refuse(source, chat_id)
            if not (self._past.ended_lately(chat_id, now) if chat is None else chat.row.changed_lately(now)):
                self.effects.charge(source, ProtocolError(ErrorCode.CHAT_NOT_FOUND), in_vain=True)
        elif chat.receive_frame(index, sealed.frame, link.receive_nonce, now):
            self._chats.touch(chat.row)

    def _receive_for_chat(self, source: Neighbour, message: m.ChatMessage, now: float) -> None:
        chat_id = message.chat_id if not isinstance(message, m.Sealed) else None
        if chat_id is not None and self._receive_for_move(self._links[source], message, chat_id, now):
            return
        row, index = self._chats.find_hop(source, chat_id)
        if row is not None and index is not None:
            if isinstance(message, m.Resume) and not self._resumes.admit(source, message, now):
                return
            self._chats.change(row, now, Chat.receive, index, message, now)
        elif chat_id is not None:
            self._answer_unknown(source, message, chat_id, now)
        if isinstance(message, m.Closed):  # in any case, so that the other node's tombstone may go
            self.effects.answer(source, m.ClosedAck(message.chat_id, message.reason))

    def _answer_unknown(self, source: Neighbour, message: m.ChatMessage, chat_id: ChatId, now: float) -> None:
        """A chat that is not here, or not this neighbour's."""
        row, link = self._index.find(chat_id), self._links[source]
        match message:
            case m.Resume() if row is not None and source.node_id is not None:
                self.effects.report(ResumeRefused(chat_id, source.kind, ErrorCode.CHAT_NOT_FOUND))
                self._chats.change(row, now, Chat.answer_outdated, link)
            case m.Resume() if self._past.answer_former(source, chat_id):
                pass
            case m.Delete() if self._offers.withdraw(source, chat_id, now):
                pass
            case m.Delete() if self._delete_missing(row, source, message, now):
                pass
            case m.Delete() if self._arrivals.take_delete(source, message):
                pass
            case m.Resume():
                self.effects.report(ResumeRefused(chat_id, source.kind, ErrorCode.CHAT_NOT_FOUND))
                self._past.refuse(source, chat_id)
            case m.Delete() | m.PathState():
                self._past.refuse(source, chat_id)
            case m.Closed() | m.ErrorNotice() | m.MoveAnswer():
                pass  # over there as well as here, or too late
            case _:
                self.effects.refuse(source, chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))

    def _delete_missing(self, row: Row | None, source: Neighbour, delete: m.Delete, now: float) -> bool:
        """Whether an app of the chat, looked for here and at home elsewhere, said that it has it no more."""
        return row is not None and bool(self._chats.change(row, now, Chat.end_missing, source.app_id, delete))

    # moves

    def _receive_for_move(self, link: Link, message: m.ChatMessage, chat_id: ChatId, now: float) -> bool:
        """Whether it is about a hop that is being made, whose neighbour is none of the chat's yet."""
        chat = self._chats.by_id.get(chat_id)
        awaited = None if chat is None else chat.moves.find_awaited(link, message)
        if chat is None or awaited is None:
            return False
        self._chats.change(chat.row, now, Chat.receive_awaited, awaited, now)
        if isinstance(message, m.Closed):
            self.effects.answer(link.neighbour, m.ClosedAck(message.chat_id, message.reason))
        return True

    def _receive_move(self, link: Link, message: m.MoveOffer | m.Moved, now: float) -> None:
        """An app moves here, a new home offers a move of its app, or somebody tells of one. Refusals change nothing."""
        row = self._index.find(message.chat_id)
        try:
            if row is not None:
                self._chats.change(row, now, Chat.take_move, link, message, now)
            elif isinstance(message, m.MoveOffer):
                self._arrivals.receive(link, message, now)
        except ProtocolError as error:
            self.effects.refuse_frame(link.neighbour, message.chat_id, error)
            self.effects.charge_unproven(link.neighbour, error)

    # operation

    def drain(self, now: float) -> None:
        """Take no new chats; those that live go on."""
        del now
        self._admission.drain()

    def close_all(self, reason: m.CloseReason, now: float) -> None:
        """End every chat here and tell everyone concerned, who go on without this node where the reason allows it."""
        self._chats.change_all(now, Chat.close, reason)

    def take_verdict(self, verdict: ResumeVerdict, now: float) -> None:
        """What an outside witness says of our store. If it saw a newer one, no chat is resumed: each is rekeyed or deleted.

        Nobody else is waited for then: what is claimed has to be said before new keys are offered, or it would undo them.
        """
        if verdict is not ResumeVerdict.ROLLED_BACK:
            return
        self._chats.change_all(now, Chat.quarantine)
        self.release_resumes(now)

    def set_calendar(self, ahead_s: float, now: float) -> None:
        """The date is this much ahead of `now` (negative: behind). What is stored, and how old that is, goes by the date."""
        self._calendar.set_ahead(ahead_s)
        self._chats.change_all(now, Chat.note_calendar)

    def doubt_keys(self, now: float) -> None:
        """The clock is in doubt: each chat whose keys are older than this run is asked for new ones."""
        self._calendar.doubt(doubted=True)
        self._chats.change_all(now, Chat.doubt_keys)

    def trust_clock(self, now: float) -> None:
        """Others agree with the clock that was in doubt."""
        del now
        self._calendar.doubt(doubted=False)

    # time

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do; None: not before the next input. Ask once output was taken."""
        times = [self._index.next_due(), self._tombstones.next_due(), self._resumes.next_due(), self._offers.next_due()]
        times.append(self._whereabouts.next_due())
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """A bounded number of chats; what is left is due at once, after this pass was committed."""
        self._resumes.send_due(now)
        for row in self._index.pop_due(now, MAX_CHATS_A_TIMER_PASS):
            self._chats.change(row, now, Chat.handle_timer, now)
        self._tombstones.expire(now, MAX_CHATS_A_TIMER_PASS)
        self._offers.handle_timer(now)

    def take_output(self, *, busy: bool = False) -> NodeOutput:
        """Everything since the last call: commit its puts and deletes first, then act, in order. An early one need not wait.

        `busy`: the commit of an early output is under way. What could be stored early waits for its end then, or rides on a
        commit that is needed.
        """
        self._chats.settle(busy=busy)
        return self.effects.take()

    def wipe(self) -> None:
        """Zero every key in memory, for a node that ends; what is stored stays, and nothing of this can be used any more."""
        for chat in self._chats.by_id.values():
            chat.wipe()

    # what is shown

    def describe(self) -> Iterator[ChatDescription]:
        return (describe_chat(chat) for chat in self._chats.by_id.values())

    def live_chats(self) -> int:
        return len(self._index)

    def live_tieline_chats(self) -> int:
        """Those of the live chats that another node takes part in."""
        return self._index.spanning
