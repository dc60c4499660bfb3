"""One chat as its node holds it. Inputs change only the chat itself and give effects; each part owns its state.

`standing`: its state and its end. `hops`: a channel each way. `handshake`: the offer under way. `lifetime`: its age.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChannelKind, derive_app_id
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.protocol import messages as m
from hermes_core.protocol.payload import ACK, DATA, parse_kind_and_seq
from hermes_core.protocol.timers import Timer, fire_due, next_due
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.ratchet.resume import STORES_DIFFER
from hermes_core.relay.context import ChatContext
from hermes_core.relay.events import MessageRefused
from hermes_core.relay.handshake import Handshake
from hermes_core.relay.hop import Hop
from hermes_core.relay.hop_states import HopInput
from hermes_core.relay.hops import Hops
from hermes_core.relay.lifetime import Lifetime
from hermes_core.relay.moves import Awaited, Moves
from hermes_core.relay.neighbour import Link
from hermes_core.relay.rows import Row
from hermes_core.relay.standing import CURE, ChatEnd, Standing
from hermes_core.relay.tombstones import describe_delete
from hermes_core.relay.waiting_offers import RETRY_LATER_MS


class Chat:
    """Hop 0 leads to the initiating app, hop 1 to the other."""

    __slots__ = ("_context", "chat_id", "handshake", "hops", "lifetime", "moves", "row", "standing")

    def __init__(
        self,
        context: ChatContext,
        row: Row,
        apps: tuple[AppId, AppId],
        channels: tuple[Channel, Channel],
        app_keys: tuple[bytes, bytes],
        created_at: float,
    ) -> None:
        self._context = context
        self.row = row
        self.chat_id = row.chat_id
        self.hops = Hops(context, row, apps, channels)
        self.standing = Standing(row, context.effects, app_keys, created_at)
        self.lifetime = Lifetime(context, self.hops, self.standing, created_at)
        self.handshake = Handshake(context, row, self.hops, self.standing, self.lifetime)
        self.moves = Moves(context, row, self.hops, self.standing, self.lifetime, self.handshake)

    @property
    def state(self) -> ChatState:
        return self.standing.state

    @property
    def ended(self) -> ChatEnd | None:
        return self.standing.ended

    @property
    def dirty(self) -> bool:
        """Its record differs from what is stored, and what it sends depends on that."""
        return self.standing.changed or self.hops.dirty

    @property
    def early(self) -> bool:
        """Its record differs from what is stored, and nothing depends on that yet."""
        return self.hops.early

    # beginning

    @classmethod
    def begin(cls, context: ChatContext, row: Row, links: tuple[Link, Link], offer: m.Offer, now: float) -> Chat:
        """Answer the first offer's hop and pass the offer on; ProtocolError when it cannot be answered, and nothing is left."""
        apps = (derive_app_id(offer.initiator_key), offer.target)
        channels = (context.build_channel(row.chat_id, links[0]), context.build_channel(row.chat_id, links[1]))
        target_key = links[1].public_key if channels[1].kind is ChannelKind.LEG else b""
        chat = cls(context, row, apps, channels, (offer.initiator_key, target_key), now)
        chat.handshake.begin(0, offer, now)
        return chat

    @classmethod
    def move_in(cls, context: ChatContext, row: Row, link: Link, offer: m.MoveOffer, now: float) -> Chat:
        """Take in the chat of an app that moves here; ProtocolError when its move is no good, and nothing is left."""
        move = offer.move
        apps = (move.mover, move.peer)
        channels = (context.build_unbound(row.chat_id, apps[0]), context.build_unbound(row.chat_id, apps[1]))
        chat = cls(context, row, apps, channels, (move.mover_key, b""), now)
        chat.standing.restore(ChatState.ACTIVE, 1)
        chat.moves.receive_offer(link, offer, now)
        chat.moves.search.seek(now)
        return chat

    # its record

    @classmethod
    def restore(cls, context: ChatContext, row: Row, record: ChatRecord, now: float, *, keys_in_doubt: bool) -> Chat:
        """The chat of a record, at the positions it reserved. Secrets are copied; the caller wipes the record."""
        first, second = (
            context.restore_channel(row.chat_id, snapshot, app_id)
            for snapshot, app_id in zip(record.sides, record.app_ids, strict=True)
        )
        chat = cls(context, row, record.app_ids, (first, second), record.app_keys, float(record.created_at_s))
        chat.standing.restore(record.state, record.end_to_end_epoch)
        chat.lifetime.restore(
            last_active_on=float(record.last_active_at_s),
            messages=record.messages_in_epoch,
            epochs=chat.hops.epochs,
            now=now,
            keys_in_doubt=keys_in_doubt,
        )
        chat.lifetime.note_keys(chat.hops.keys_began_at)
        if record.state is ChatState.PENDING:  # what was away cannot have been confirmed: its time begins anew
            chat.lifetime.note_activity(now)
        for hop, acked in zip(chat.hops.pair, record.acked, strict=True):
            hop.restore(acked=acked, quarantined=record.state is ChatState.QUARANTINED)
        chat.moves.restore(record.moves, now)
        return chat

    def build_record(self) -> ChatRecord:
        """A record with copies of both channels' secrets, for whoever gets it to wipe. The chat is not dirty any more."""
        standing, (first, second) = self.standing, self.hops.pair
        standing.note_stored()
        return ChatRecord(
            chat_id=self.chat_id,
            state=standing.state,
            app_ids=self.hops.app_ids,
            app_keys=standing.app_keys,
            side_nodes=(first.neighbour.node_id, second.neighbour.node_id),
            sides=(first.channel.snapshot(), second.channel.snapshot()),
            end_to_end_epoch=standing.end_to_end_epoch,
            acked=(first.acked, second.acked),
            messages_in_epoch=self.lifetime.messages,
            created_at_s=int(standing.created_at),
            last_active_at_s=int(self.lifetime.last_active_on),
            moves=self.moves.signed.pair,
        )

    def refuse_offer(self) -> None:
        """Its first offer, which still waits, gives way to one of somebody who has fewer."""
        self.handshake.fail(ErrorCode.LIMIT_EXCEEDED, retry_after_ms=RETRY_LATER_MS)

    # what comes in

    def receive(self, index: int, message: Any, now: float) -> None:
        """One message of the neighbour at hop `index`, of a kind that such a neighbour may send.

        ProtocolError refuses an offer; every other refusal is among the effects.
        """
        self._HANDLERS[type(message)](self, index, message, now)

    def receive_frame(self, index: int, frame: bytes, nonce: bytes, now: float) -> bool:
        """Open one frame on the hop it came in, check the window, seal it for the hop it leaves.

        `nonce`: of what comes over the stream that brought it.
        True when the chat has to be settled. Whatever is wrong with it concerns its sender alone.
        """
        hop, onward = self.hops.pair[index], self.hops.pair[1 - index]
        try:
            if not hop.state.ready:
                hop.channel.lose_step()
                raise self._not_ready(hop)
            payload = hop.channel.open(frame, now, nonce=nonce)
            if self.state is ChatState.QUARANTINED:  # opened all the same: this hop has new keys, and stays in step
                raise self._not_ready(hop)
            kind, seq = parse_kind_and_seq(payload)
            if kind == DATA:
                hop.check_window(onward, seq, self._context.params.window_messages)
        except ProtocolError as error:
            hop.refuse_sealed(error, now)
            return self._has_news
        output = self._context.effects.output
        output.count_relayed(message=kind == DATA, leads_on=onward.leads_on)
        if kind == DATA:
            self.lifetime.note_message(now)
            if self.lifetime.keys_are_due(now):
                self.lifetime.ask_for_rekey(now)
        elif kind == ACK:
            hop.acknowledge(seq)
        if not onward.leads_on:
            hop.note_told(up=False)  # so that it hears how things stand when output is taken, even if the path is up by then
            return True
        output.count_frame(leg=onward.is_leg)
        onward.relay(payload, now)
        return self._has_news or self.lifetime.rekey_deadline is not None

    @property
    def _has_news(self) -> bool:
        return self.standing.changed or self.hops.have_news

    def _not_ready(self, hop: Hop) -> ProtocolError:
        if self.state is ChatState.QUARANTINED or hop.state.quarantined:
            return ProtocolError(ErrorCode.ROLLBACK_DETECTED, CURE)
        return ProtocolError(ErrorCode.CHAT_NOT_READY, "the chat is not resumed on this stream")

    # new streams

    def claim(self, index: int, link: Link, now: float) -> None:
        """Send our claims to a node that is back; a chat that was opened on this stream has none to make."""
        hop = self.hops[index]
        if not hop.state.ready and (hop.channel.epoch or self.state is ChatState.QUARANTINED):
            hop.claim(link.binding, now)

    def take_move(self, link: Link, message: m.MoveOffer | m.Moved, now: float) -> None:
        """An app's move, offered or told of; ProtocolError refuses it, and nothing changes."""
        if not self.standing.stored:  # nobody answered, so that no app has anything to move
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)
        if isinstance(message, m.MoveOffer):
            self.moves.receive_offer(link, message, now)
        else:
            self.moves.receive_moved(link, message.move, now)

    def answer_outdated(self, link: Link) -> None:
        self.moves.answer_outdated(link)

    def look_again(self, now: float) -> None:
        self.moves.search.look_again(now)

    def receive_awaited(self, awaited: Awaited, now: float) -> None:
        """One message about the hop that is being made; what is not authentic changes nothing, and is reported."""
        try:
            self.moves.receive(awaited, now)
        except ProtocolError as error:
            self._context.effects.report(MessageRefused(self.chat_id, ChannelKind.TIELINE, error.code, error.detail))
            self._context.effects.charge_unproven(awaited.link.neighbour, error)

    def _receive_late_answer(self, _index: int, _answer: m.MoveAnswer, _now: float) -> None:
        """Of a hop that stands already, or that nobody waits for any more."""

    def _receive_resume(self, index: int, message: m.Resume, now: float) -> None:
        """A neighbour's claims: take up the common epoch, or say why not. A hop that is ready is left alone."""
        hop = self.hops[index]
        link = self._context.links[hop.neighbour]
        if hop.unbound:  # whoever takes this for its home never got our answer, or is asked to move here
            hop.refuse_frame(ProtocolError(ErrorCode.CHAT_NOT_FOUND))
            return
        answers = hop.is_leg
        if hop.state.ready:
            hop.note_told(up=False)  # it asks again: our answer was lost, and what we said of the path with it
        else:
            answers |= not hop.state.claimed  # we had no epoch to claim: its confirmation was lost, and this is as good
            if not self._resume_hop(index, message, link.binding, now):
                return
        if answers:
            hop.answer_claims(link.binding)
        if self.lifetime.keys_are_due(now):
            self.lifetime.ask_for_rekey(now)

    def _resume_hop(self, index: int, message: m.Resume, binding: bytes, now: float) -> bool:
        """True when the hop is ready now."""
        hop = self.hops[index]
        admission = self._context.admission
        try:
            admission.check_steps(hop.requester, now)
            renewed, skipped = hop.take_claims(message, binding, now)
        except ProtocolError as error:
            if error.code is ErrorCode.RATCHET_DESYNC:
                self._start_over(index, message, binding)
            self._refuse_claims(hop, error)
            return False
        if self.state is ChatState.QUARANTINED:
            # Positions that were used before the rollback may never have arrived: only new keys on every channel are safe. A
            # rekey that was interrupted half-way has renewed one hop alone, so every app here is asked for another one.
            if hop.is_leg:
                hop.answer_claims(binding)  # both ends must know from which keys that one goes on
            hop.refuse_claims(ErrorCode.ROLLBACK_DETECTED)
            hop.refuse(ProtocolError(ErrorCode.ROLLBACK_DETECTED, CURE))
            self.hops.refuse_apps(ProtocolError(ErrorCode.ROLLBACK_DETECTED, CURE), informed=hop)
            return False
        if skipped:
            admission.charge_steps(hop.requester, skipped, now)
        hop.become_ready(skipped)
        if renewed:
            self.handshake.enter_epoch(hop, now)
        return True

    def _start_over(self, index: int, message: m.Resume, binding: bytes) -> None:
        """Without an epoch in common a hop begins anew with the next rekey; both ends must see that there is none.

        A node claims by itself, but for a hop without an epoch, as one is that was put back to before its first confirmation.
        """
        hop = self.hops[index]
        unclaimed = bool(message.claims) and not hop.channel.epoch
        if not hop.channel.shares_epoch(message.claims):
            hop.channel.restart()
            self.lifetime.forget_epoch(index)
        if hop.is_leg or unclaimed:
            hop.answer_claims(binding)

    def _refuse_claims(self, hop: Hop, error: ProtocolError) -> None:
        hop.refuse_claims(error.code)
        if error.code in STORES_DIFFER:
            self.quarantine(informed=hop)
            if self.ended is None:
                hop.refuse(ProtocolError(ErrorCode.ROLLBACK_DETECTED, error.detail))
        else:
            hop.refuse_proof(error)

    def quarantine(self, *, informed: Hop | None = None) -> None:
        """A store was rolled back: nothing flows in this chat until every channel has new keys, or it is deleted.

        The apps at home here hear of it, so that one of them rekeys; the neighbour of the `informed` hop is told by the caller.
        """
        if self.state is ChatState.QUARANTINED:
            return
        if self.state is ChatState.PENDING and not self.standing.stored:  # nobody has an answer to go on from
            self.close(m.CloseReason.RATCHET_FAILED)
            return
        self.handshake.abandon()
        self.standing.quarantine()
        self.hops.quarantine()
        self.hops.refuse_apps(ProtocolError(ErrorCode.ROLLBACK_DETECTED, CURE), informed=informed)

    def _receive_error(self, index: int, notice: m.ErrorNotice, now: float) -> None:
        """What another node refused. One that has lost the chat is a home that is gone: the app behind it moves its side."""
        if notice.code is ErrorCode.CHAT_NOT_FOUND:
            if self.state is ChatState.PENDING:
                self.close(m.CloseReason.ROUTE_UNAVAILABLE, silent={index})
            else:
                self._lose_record(index, now)
        elif notice.code is ErrorCode.ROLLBACK_DETECTED:
            self.hops[index].apply(HopInput.GIVE_UP_CLAIM)  # it waits for new keys; asking again is of no use

    def _lose_record(self, index: int, now: float) -> None:
        """The node behind this hop does not hold the chat any more: the path is down until it has a home there again."""
        if self.moves.is_left(index):
            self.moves.leave()
        elif not self.moves.lose_home(index, now):
            self.lose(index, now)

    def lose(self, index: int, now: float) -> None:
        """The stream to the neighbour of this hop is gone."""
        self._note_loss(index, now)
        self.hops[index].apply(HopInput.LOSE)
        self.handshake.fail(ErrorCode.ROUTE_UNAVAILABLE, informed=index)
        if self.ended is None:
            self.moves.search.look_again(0.0)

    # paths

    def _note_loss(self, index: int, now: float) -> None:
        """Over this hop there is no path to its app, or no longer."""
        self.moves.search.appeal.note_loss(now, anew=self.hops[index].leads_on)

    def _receive_path(self, index: int, message: m.PathState, now: float) -> None:
        """The node behind a tieline says whether its own onward path is up.

        One that says again that it is dropped what came while it was not, and never said so: who sent that is told again too.
        """
        if message.up:
            self.hops.pair[1 - index].note_told(up=False)
        else:
            self._note_loss(index, now)
        self.hops[index].apply(HopInput.ONWARD_UP if message.up else HopInput.ONWARD_DOWN)

    def tell_paths(self) -> None:
        """Make what each neighbour was told of its path true."""
        if self.state is not ChatState.QUARANTINED:
            self.hops.tell_paths()

    # time

    def next_timer(self) -> float | None:
        return next_due(self._TIMERS, self)

    def handle_timer(self, now: float) -> None:
        fire_due(self._TIMERS, self, now, over=lambda chat: chat.ended is not None)

    def note_calendar(self) -> None:
        """The date is another one: what was stored of this run's activity had the former one."""
        if self.standing.stored and self.lifetime.was_active:
            self.standing.note_change()

    def doubt_keys(self) -> None:
        self.lifetime.doubt_keys()

    def _repeat_claims(self, now: float) -> None:
        self.hops.repeat_claims(now, useless=self.state is ChatState.QUARANTINED)

    # the end

    def _receive_delete(self, index: int, message: m.Delete, _now: float) -> None:
        """An app ends its chat; the others hear of it, and whether it had to."""
        end = describe_delete(message)
        self.close(end.reason, silent={index}, proofs=end.proofs)

    def end_missing(self, app_id: AppId | None, message: m.Delete) -> bool:
        """Whether the app that says so is one that is looked for, here or by a node that asked: the chat is over."""
        if app_id is None or app_id not in {self.moves.search.missing, self.moves.wanted}:
            return False
        end = describe_delete(message)
        self.close(end.reason, proofs=end.proofs)
        return True

    def _receive_closed(self, index: int, message: m.Closed, now: float) -> None:
        """The other node ended the chat, or gives it up."""
        # A caller that gives up before the answer reaches it has no key to prove it with: who accepted is not left waiting.
        given_up = message.reason in m.DELETES and index == 0 and self.handshake.caller_unheard
        if message.final or self.state is ChatState.PENDING or given_up:
            self.close(message.reason, silent={index}, proofs=message.proofs)
        else:
            self._lose_record(index, now)

    def close(self, reason: m.CloseReason, *, silent: Collection[int] = (), proofs: tuple[EndProof, ...] = ()) -> None:
        """End the chat on this node; every neighbour but those of the `silent` hops is told."""
        if self.ended is None:
            self.standing.end(reason, silent, proofs)

    def wipe(self) -> None:
        """Whatever a chat that ended still holds goes."""
        self.handshake.end()
        self._context.admission.cures.leave(self.chat_id)
        self.moves.wipe()
        self.hops.wipe()

    # its tables

    _HANDLERS: ClassVar[Mapping[type, Callable[..., object]]] = {
        m.Offer: lambda chat, *given: chat.handshake.receive_offer(*given),
        m.Answer: lambda chat, *given: chat.handshake.receive_answer(*given),
        m.Confirm: lambda chat, *given: chat.handshake.receive_confirm(*given),
        m.Reject: lambda chat, *given: chat.handshake.receive_reject(*given),
        m.Resume: _receive_resume,
        m.PathState: _receive_path,
        m.Closed: _receive_closed,
        m.Delete: _receive_delete,
        m.ErrorNotice: _receive_error,
        m.MoveAnswer: _receive_late_answer,
    }

    _TIMERS: ClassVar[tuple[Timer[Chat], ...]] = (
        Timer("offer", lambda chat: chat.handshake.ends_at(), lambda chat, _: chat.handshake.fail(ErrorCode.TARGET_OFFLINE)),
        Timer("channels", lambda chat: chat.hops.channels_due_at(), lambda chat, now: chat.hops.wipe_what_is_due(now)),
        Timer("move", lambda chat: chat.moves.ends_at(), lambda chat, now: chat.moves.give_up(now)),
        Timer("search", lambda chat: chat.moves.search.at, lambda chat, now: chat.moves.search.seek(now)),
        Timer("appeal", lambda chat: chat.moves.search.appeal.at, lambda chat, now: chat.moves.search.appeal_to_app(now)),
        Timer("idle", lambda chat: chat.lifetime.idle_at, lambda chat, _: chat.close(m.CloseReason.EXPIRED)),
        Timer("unconfirmed", lambda chat: chat.handshake.unconfirmed_at(), lambda chat, _: chat.close(m.CloseReason.EXPIRED)),
        Timer("grace", lambda chat: chat.lifetime.grace_ends_at(), lambda chat, now: chat.lifetime.end_grace(now)),
        Timer("keys", lambda chat: chat.lifetime.keys_due_at(), lambda chat, now: chat.lifetime.ask_for_rekey(now)),
        Timer("claims", lambda chat: chat.hops.claims_due_at(), _repeat_claims),
    )
