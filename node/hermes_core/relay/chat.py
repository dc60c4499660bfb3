"""One chat as its node holds it: two hops, an offer under way, its age. Inputs change only the chat itself and give effects.

The end-to-end statements pass through unchanged; each hop has a handshake of its own. The node answers the offering side's
hop as soon as the offer came, keeps that answer until the other app's came back, and confirms the onward hop as soon as it has
checked its answer, so that no hop's epoch depends on the far end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChannelKind, derive_app_id
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.protocol import messages as m
from hermes_core.protocol.payload import DATA, parse_kind_and_seq
from hermes_core.protocol.timers import Timer, fire_due, next_due
from hermes_core.ratchet.channel import Channel
from hermes_core.relay import events
from hermes_core.relay.context import ChatContext
from hermes_core.relay.hop import Hop
from hermes_core.relay.hop_states import HopInput
from hermes_core.relay.hops import Hops
from hermes_core.relay.lifetime import Lifetime
from hermes_core.relay.neighbour import Link
from hermes_core.relay.offer import Offers, OfferUnderWay
from hermes_core.relay.rows import Row

_CURE: Final = "the chat must be rekeyed or deleted"


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """Why a chat ended, and the hops whose neighbours need not be told: they know, or never took part."""

    reason: m.CloseReason
    silent: frozenset[int]


class Chat:
    """Hop 0 leads to the initiating app, hop 1 to the other. `stored`: its record is in the keystore, or about to be.

    `ended` is set once, and then nothing else happens to the chat; its keys are wiped.
    """

    __slots__ = (
        "_changed", "_context", "app_keys", "chat_id", "created_at", "end_to_end_epoch", "ended", "hops", "lifetime", "offers",
        "row", "state", "stored",
    )  # fmt: skip

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
        self._changed = False
        self.row = row
        self.chat_id = row.chat_id
        self.hops = Hops(context, row, apps, channels)
        self.offers = Offers(context, self.hops)
        self.app_keys = app_keys
        self.created_at = created_at
        self.state = ChatState.PENDING
        self.end_to_end_epoch = 0
        self.lifetime = Lifetime(context.params, created_at)
        self.stored = False
        self.ended: ChatEnd | None = None

    @property
    def dirty(self) -> bool:
        """Its record differs from what is stored."""
        return self._changed or self.hops.dirty

    @property
    def offer(self) -> OfferUnderWay | None:
        """The offer that waits for its answer."""
        return self.offers.under_way

    # beginning

    @classmethod
    def begin(cls, context: ChatContext, row: Row, links: tuple[Link, Link], offer: m.Offer, now: float) -> Chat:
        """Answer the first offer's hop and pass the offer on; ProtocolError when it cannot be answered, and nothing is left."""
        apps = (derive_app_id(offer.initiator_key), offer.target)
        channels = (context.build_channel(row.chat_id, links[0]), context.build_channel(row.chat_id, links[1]))
        target_key = links[1].public_key if channels[1].kind is ChannelKind.LEG else b""
        chat = cls(context, row, apps, channels, (offer.initiator_key, target_key), now)
        chat.offers.begin(0, offer, now)
        return chat

    # its record

    @classmethod
    def restore(cls, context: ChatContext, row: Row, record: ChatRecord) -> Chat:
        """The chat of a record, at the positions it reserved. Secrets are copied; the caller wipes the record."""
        identity, params, random = context.identity, context.params.channel, context.random
        first, second = (
            Channel.restore(snapshot, chat_id=row.chat_id, identity=identity, params=params, random=random)
            for snapshot in record.sides
        )
        chat = cls(context, row, record.app_ids, (first, second), record.app_keys, float(record.created_at_s))
        chat.state = record.state
        chat.end_to_end_epoch = record.end_to_end_epoch
        chat.stored = True
        last_active_at = float(record.last_active_at_s)
        chat.lifetime.restore(last_active_at=last_active_at, messages=record.messages_in_epoch, epochs=chat.hops.epochs)
        chat.lifetime.note_keys(chat.hops.keys_began_at)
        for hop, acked in zip(chat.hops.pair, record.acked, strict=True):
            hop.restore(acked=acked, quarantined=record.state is ChatState.QUARANTINED)
        return chat

    def build_record(self) -> ChatRecord:
        """A record with copies of both channels' secrets, for whoever gets it to wipe. The chat is not dirty any more."""
        first, second = self.hops.pair
        self._changed = False
        return ChatRecord(
            chat_id=self.chat_id,
            state=self.state,
            app_ids=self.hops.app_ids,
            app_keys=self.app_keys,
            side_nodes=(first.neighbour.node_id, second.neighbour.node_id),
            sides=(first.channel.snapshot(), second.channel.snapshot()),
            end_to_end_epoch=self.end_to_end_epoch,
            acked=(first.acked, second.acked),
            messages_in_epoch=self.lifetime.messages,
            created_at_s=int(self.created_at),
            last_active_at_s=int(self.lifetime.last_active_at),
        )

    # what comes in

    def receive(self, index: int, message: Any, now: float) -> None:
        """One message of the neighbour at hop `index`, of a kind that such a neighbour may send.

        ProtocolError refuses an offer; every other refusal is among the effects.
        """
        self._HANDLERS[type(message)](self, index, message, now)

    def receive_frame(self, index: int, sealed: m.Sealed, now: float) -> bool:
        """Open one frame on the hop it came in, check the window, seal it for the hop it leaves.

        True when the chat has to be settled. Whatever is wrong with it concerns its sender alone.
        """
        hop, onward = self.hops.pair[index], self.hops.pair[1 - index]
        try:
            if not hop.state.ready or self.state is ChatState.QUARANTINED:
                raise self._not_ready(hop)
            payload = hop.channel.open(sealed.frame, now)
            kind, seq = parse_kind_and_seq(payload)
            if kind == DATA:
                hop.check_window(onward, seq, self._context.params.window_messages)
        except ProtocolError as error:
            hop.refuse_frame(error)
            return self.dirty
        output = self._context.effects.output
        if kind == DATA:
            output.relayed_messages += onward.leads_on
            self.lifetime.note_message(now)
            if self.lifetime.keys_are_due(now):
                self._ask_for_rekey(now)
        else:
            output.relayed_acks += onward.leads_on
            hop.acknowledge(seq)
        if not onward.leads_on:
            output.dropped_messages += 1
            hop.note_told(up=False)  # so that it hears how things stand when output is taken, even if the path is up by then
            return True
        if onward.is_leg:
            output.leg_frames += 1
        else:
            output.tieline_frames += 1
        onward.send(m.Sealed(onward.channel.seal(payload, now)))
        return self.dirty or self.lifetime.rekey_deadline is not None

    def _not_ready(self, hop: Hop) -> ProtocolError:
        if self.state is ChatState.QUARANTINED or hop.state.quarantined:
            return ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE)
        return ProtocolError(ErrorCode.CHAT_NOT_READY, "the chat is not resumed on this stream")

    # offers

    def _receive_offer(self, index: int, offer: m.Offer, now: float) -> None:
        """A rekey; passed on if it is admitted. A quarantined chat cannot be resumed: its offers pass over any open stream."""
        if self.state is ChatState.PENDING:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)
        self.offers.admit_rekey(index, offer, now, over_any_stream=self.state is ChatState.QUARANTINED)
        self.offers.begin(index, offer, now)

    def _receive_answer(self, index: int, answer: m.Answer, now: float) -> None:
        """Check the hop's answer and confirm it at once; pass the end-to-end answer on with our own for the offering side."""
        hop = self.hops[index]
        try:
            offer = self.offers.check_answer(index, answer, now)
        except ProtocolError as error:
            # An answer that is not authentic changes nothing; one that is, but leads to other keys, ends the attempt.
            hop.refuse_frame(error)
            if error.code is ErrorCode.KEY_MISMATCH:
                self.fail_offer(error.code)
            return
        if not self.app_keys[index]:
            self.app_keys = (self.app_keys[0], answer.responder_key)
        self.stored = True
        self.lifetime.note_activity(now)
        if not offer.first:
            self.end_to_end_epoch = max(self.end_to_end_epoch, offer.end_to_end_epoch)
        self.offers.end()
        self._note_change()
        hop.apply(HopInput.ONWARD_UP)  # the answer has just come that way
        self._enter_epoch(index, now)
        hop.confirm()
        self.offers.give_answer(offer, answer)

    def _receive_confirm(self, index: int, confirm: m.Confirm, now: float) -> None:
        """Check the hop's half, pass the end-to-end half on. Idempotent: an app repeats it until it knows that it arrived."""
        hop, onward = self.hops.pair[index], self.hops.pair[1 - index]
        if confirm.hop_epoch:
            before = hop.channel.epoch
            try:
                hop.channel.check_confirm(confirm.hop_epoch, confirm.hop_confirm, now)
            except ProtocolError as error:
                hop.refuse_frame(error)
                return
            if hop.channel.epoch != before:
                self.lifetime.note_activity(now)
                self._enter_epoch(index, now)
        if confirm.end_to_end_epoch and (onward.state.ready or self.state is ChatState.QUARANTINED):
            # Without it the apps' epochs differ, and the rekey that would cure a quarantined hop could not be made.
            hop.apply(HopInput.ONWARD_UP)  # it came from the app that way
            onward.note_told(up=onward.state.ready)
            hop_half = onward.channel.confirm_tag() or (0, b"")
            onward.send(m.Confirm(self.chat_id, confirm.end_to_end_epoch, confirm.end_to_end_confirm, *hop_half))

    def _receive_reject(self, index: int, reject: m.Reject, _now: float) -> None:
        """The other app, or a node on the way, refuses an offer."""
        if self.offer is not None and self.offer.offerer != index and not self.close_beyond_cure(reject.code):
            self.fail_offer(reject.code, informed=index)

    def fail_offer(self, code: ErrorCode, *, informed: int | None = None) -> None:
        """End an offer that waits for its answer: the offering side gets a rejection; a chat that never was is gone.

        `informed` is the hop whose neighbour knows already.
        """
        offer = self.offer
        if offer is None:
            return
        offerer = self.hops[offer.offerer]
        self._report(events.HandshakeFailed(self.chat_id, code, rekey=not offer.first, offered_here=offerer.is_leg))
        if informed != offer.offerer:
            offerer.send(m.Reject(self.chat_id, code))
        if offer.first:
            silent = {offer.offerer} if informed is None else {offer.offerer, informed}
            self.close(m.CloseReason.ROUTE_UNAVAILABLE, silent=silent)
        else:
            self.offers.abandon()

    def close_beyond_cure(self, code: ErrorCode) -> bool:
        """End a quarantined chat whose epochs differ by more than a rekey bridges: the store was rolled back past an epoch."""
        if self.state is not ChatState.QUARANTINED or code is not ErrorCode.KEY_VERSION_MISMATCH:
            return False
        self.close(m.CloseReason.RATCHET_FAILED)
        return True

    def _enter_epoch(self, index: int, now: float) -> None:
        """A hop uses a new epoch, made on this stream. Once both do, the chat is open (again)."""
        self.hops[index].enter_epoch()
        self.lifetime.note_keys(self.hops.keys_began_at)
        if not self.hops.usable:
            return
        if self.state is ChatState.PENDING:
            scope = ChannelKind.TIELINE if self.row.spans_nodes else ChannelKind.LEG
            self._report(events.ChatOpened(self.chat_id, scope, now - self.created_at, self.hops[0].is_leg))
            self.end_to_end_epoch = max(self.end_to_end_epoch, 1)
        if self.state is not ChatState.ACTIVE:
            self.state = ChatState.ACTIVE
            self._note_change()
        if self.lifetime.note_renewal(self.hops.epochs):
            self._note_change()

    # new streams

    def claim(self, index: int, link: Link, now: float) -> bool:
        """Send our claims to a node that is back; False when it came back as another one, which ends the chat."""
        hop = self.hops[index]
        if hop.channel.peer != link.party:  # its keys of this chat are gone
            self.close(m.CloseReason.RATCHET_FAILED, silent={index})
            return False
        hop.claim(link.binding, now)
        return True

    def _receive_resume(self, index: int, message: m.Resume, now: float) -> None:
        """A neighbour's claims: take up the common epoch, or say why not. A hop that is ready is left alone."""
        hop = self.hops[index]
        link = self._context.links[hop.neighbour]
        if hop.state.ready:
            hop.note_told(up=False)  # it asks again: our answer was lost, and what we said of the path with it
        elif not self._resume_hop(hop, message, link.binding, now):
            return
        if hop.is_leg:
            hop.answer_claims(link.binding)
        if self.lifetime.keys_are_due(now):
            self._ask_for_rekey(now)

    def _resume_hop(self, hop: Hop, message: m.Resume, binding: bytes, now: float) -> bool:
        """True when the hop is ready now."""
        try:
            renewed, skipped = hop.take_claims(message, binding, now)
        except ProtocolError as error:
            self._refuse_claims(hop, error)
            return False
        if self.state is ChatState.QUARANTINED:
            # Positions that were used before the rollback may never have arrived: only new keys on every channel are safe. A
            # rekey that was interrupted half-way has renewed one hop alone, so every app here is asked for another one.
            hop.refuse_claims(ErrorCode.ROLLBACK_DETECTED)
            hop.refuse(ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE))
            self.hops.refuse_apps(ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE), informed=hop)
            return False
        hop.become_ready(skipped)
        if renewed:
            self._enter_epoch(self.hops.pair.index(hop), now)
        return True

    def _refuse_claims(self, hop: Hop, error: ProtocolError) -> None:
        hop.refuse_claims(error.code)
        if error.code is ErrorCode.ROLLBACK_DETECTED:
            self.quarantine(informed=hop)
            if self.ended is None:
                hop.refuse(error)
        elif error.code is ErrorCode.RATCHET_DESYNC:
            self.close(m.CloseReason.RATCHET_FAILED)
        else:
            hop.refuse_frame(error)

    def quarantine(self, *, informed: Hop | None = None) -> None:
        """A store was rolled back: nothing flows in this chat until every channel has new keys, or it is deleted.

        The apps at home here hear of it, so that one of them rekeys; the neighbour of the `informed` hop is told by the caller.
        """
        if self.state is ChatState.QUARANTINED:
            return
        if self.state is ChatState.PENDING:  # it has no epoch a rekey could start from
            self.close(m.CloseReason.RATCHET_FAILED)
            return
        self.state = ChatState.QUARANTINED
        self.offers.abandon()
        self._note_change()
        self._report(events.ChatQuarantined(self.chat_id))
        self.hops.quarantine()
        self.hops.refuse_apps(ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE), informed=informed)

    def _receive_error(self, index: int, notice: m.ErrorNotice, _now: float) -> None:
        """What another node refused. Only the loss of the chat over there has a consequence: it ends here as well."""
        if notice.code in {ErrorCode.CHAT_NOT_FOUND, ErrorCode.CHAT_EXPIRED}:
            pending = self.state is ChatState.PENDING
            self.close(m.CloseReason.ROUTE_UNAVAILABLE if pending else m.CloseReason.RATCHET_FAILED, silent={index})
        elif notice.code is ErrorCode.ROLLBACK_DETECTED:
            self.hops[index].apply(HopInput.GIVE_UP_CLAIM)  # it waits for new keys; asking again is of no use

    def lose(self, index: int) -> None:
        """The stream to the neighbour of this hop is gone."""
        self.hops[index].apply(HopInput.LOSE)
        self.fail_offer(ErrorCode.ROUTE_UNAVAILABLE, informed=index)

    # paths

    def _receive_path(self, index: int, message: m.PathState, _now: float) -> None:
        """The node behind a tieline says whether its own onward path is up."""
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

    def _keys_due_at(self) -> float | None:
        """When the apps are to be asked for a rekey: at once, once they are there, if the keys were due before."""
        waits = self.state is ChatState.ACTIVE and self.lifetime.rekey_deadline is None and self.hops.lead_on
        return self.lifetime.keys_due_at if waits else None

    def _ask_for_rekey(self, now: float) -> None:
        """The keys are due: ask the apps for a rekey, once; the grace begins."""
        if self._keys_due_at() is None:
            return
        self.lifetime.begin_grace(now)
        self._report(events.RekeyRequired(self.chat_id))
        notice = m.ErrorNotice(ErrorCode.REKEY_REQUIRED, ErrorScope.FRAME, self.chat_id, "the keys have served their time", 0)
        self.hops.tell_apps(notice)

    def _end_grace(self, _now: float) -> None:
        """No rekey came: the chat ends, unless an app is away; then the grace begins anew when it is back."""
        if self.hops.lead_on:
            self.close(m.CloseReason.RATCHET_FAILED)
        else:
            self.lifetime.end_grace()

    def _unconfirmed_at(self) -> float | None:
        waits = self.state is ChatState.PENDING and self.offer is None
        return self.lifetime.unconfirmed_at if waits else None

    def _repeat_claims(self, now: float) -> None:
        self.hops.repeat_claims(now, useless=self.state is ChatState.QUARANTINED)

    # the end

    def _receive_delete(self, index: int, _message: m.Delete, _now: float) -> None:
        """An app ends its chat; the others hear of it."""
        self.close(m.CloseReason.DELETED_BY_PEER, silent={index})

    def _receive_closed(self, index: int, message: m.Closed, _now: float) -> None:
        """The other node ended the chat."""
        self.close(message.reason, silent={index})

    def close(self, reason: m.CloseReason, *, silent: Collection[int] = ()) -> None:
        """End the chat on this node: its keys are wiped; every neighbour but those of the `silent` hops is told."""
        if self.ended is not None:
            return
        self._report(events.ChatErased(self.chat_id, reason, was_open=self.state is not ChatState.PENDING))
        self.offers.end()
        self.ended = ChatEnd(reason, frozenset(silent))
        self.hops.wipe()

    def _note_change(self) -> None:
        """The record has to be stored anew; what the chat sends from here on waits for that."""
        self._changed = True
        self.row.put_in = self._context.effects.output.number

    def _report(self, event: events.NodeEvent) -> None:
        self._context.effects.report(event)

    # its tables

    _HANDLERS: ClassVar[Mapping[type, Callable[..., object]]] = {
        m.Sealed: receive_frame,
        m.Offer: _receive_offer,
        m.Answer: _receive_answer,
        m.Confirm: _receive_confirm,
        m.Reject: _receive_reject,
        m.Resume: _receive_resume,
        m.PathState: _receive_path,
        m.Closed: _receive_closed,
        m.Delete: _receive_delete,
        m.ErrorNotice: _receive_error,
    }

    _TIMERS: ClassVar[tuple[Timer[Chat], ...]] = (
        Timer("offer", lambda chat: chat.offers.ends_at(), lambda chat, _: chat.fail_offer(ErrorCode.TARGET_OFFLINE)),
        Timer("channels", lambda chat: chat.hops.channels_due_at(), lambda chat, now: chat.hops.wipe_what_is_due(now)),
        Timer("idle", lambda chat: chat.lifetime.idle_at, lambda chat, _: chat.close(m.CloseReason.EXPIRED)),
        Timer("unconfirmed", _unconfirmed_at, lambda chat, _: chat.close(m.CloseReason.EXPIRED)),
        Timer("grace", lambda chat: chat.lifetime.rekey_deadline, _end_grace),
        Timer("keys", _keys_due_at, _ask_for_rekey),
        Timer("claims", lambda chat: chat.hops.claims_due_at(), _repeat_claims),
    )
