"""One hop of a chat: its channel, where it stands on the present stream, and how far its app has acknowledged."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChannelKind
from hermes_core.protocol.messages import ChatMessage, Confirm, ErrorNotice, PathState, Resume, Sealed
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.cure_line import Requester
from hermes_core.relay.effects import Effects
from hermes_core.relay.events import ChannelRekeyed, MessageRefused, ResumeRefused, SideResumed
from hermes_core.relay.hop_states import HopInput, HopState, next_state
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.rows import Row

NEVER_RIGHT: Final = frozenset({ErrorCode.INVALID_FRAME, ErrorCode.AUTH_FAILED, ErrorCode.RATCHET_DESYNC})
"""What a sealed frame is refused with that no honest party sends: malformed, a wrong tag, a position ahead."""


class Hop:
    """`app_id` is the app it leads to, `acked` the highest seq that app acknowledged, `claimed_at` when our claims went out.

    `leads_on`: a frame sent over this hop would reach its app, as far as this node knows.
    """

    __slots__ = (
        "_channels", "_effects", "_index", "_refused", "_row", "_window_known", "acked", "app_id", "channel", "claimed_at",
        "is_leg", "leads_on", "state",
    )  # fmt: skip

    def __init__(self, app_id: AppId, channels: tuple[Channel, Channel], index: int, row: Row, effects: Effects) -> None:
        self._channels = channels
        self._index = index
        self._row = row
        self._effects = effects
        self._window_known = True
        self._refused: tuple[int, ErrorCode] | None = None
        self.app_id = app_id
        self.channel = channels[index]
        self.is_leg = self.channel.kind is ChannelKind.LEG
        self.state = HopState.AWAY
        self.leads_on = False
        self.acked = 0
        self.claimed_at = 0.0

    @property
    def unbound(self) -> bool:
        """It leads to an app whose home is not known, or whose leg is being made: nothing passes."""
        return self.is_leg and self.channel.peer_public_key is None

    def use(self, channels: tuple[Channel, Channel]) -> None:
        """The other hop has another channel."""
        self._channels = channels

    @property
    def neighbour(self) -> Neighbour:
        return self._row.neighbours[self._index]

    @property
    def requester(self) -> Requester:
        """Who is charged for what its app asks over this hop."""
        return self.neighbour.node_id, self.app_id

    def restore(self, *, acked: int, quarantined: bool) -> None:
        """Take up what the record says. `acked` may be too low: the app's first message shows where its window begins."""
        self.acked = acked
        self._window_known = False
        if quarantined:
            self.apply(HopInput.QUARANTINE)

    def apply(self, given: HopInput) -> None:
        """IllegalInputError for what must not happen in this state."""
        state = self.state = next_state(self.state, given)
        self.leads_on = state.ready and (self.is_leg or state.onward)
        if given is HopInput.LOSE:
            self.note_told(up=False)
            self.channel.leave_stream()

    # what is sent over it

    def send(self, message: ChatMessage) -> None:
        """It leaves once what it depends on is durable: what either channel had to have stored by now among it."""
        row, effects, channels = self._row, self._effects, self._channels
        if channels[0].epochs.news or channels[1].epochs.news:
            self._note_dependence()
        effects.send(row.neighbours[self._index], message, row.put_in)

    def _note_dependence(self) -> None:
        for channel in self._channels:
            if channel.take_reliance():
                self._row.rely_on_early()
            if channel.dirty:
                self._row.note_put(self._effects.output.number)

    def relay(self, payload: bytes, now: float) -> None:
        """Seal a payload for the stream that stands, and send it."""
        link = self._effects.links[self._row.neighbours[self._index]]
        self.send(Sealed(self.channel.seal(payload, now, nonce=link.send_nonce)))

    def refuse(self, error: ProtocolError) -> None:
        """Answer with an error; what it ends was decided before."""
        chat_id = self._row.chat_id
        self._effects.report(MessageRefused(chat_id, self.channel.kind, error.code, error.detail))
        self.send(ErrorNotice(error.code, error.scope, chat_id, error.detail, error.retry_after_ms))

    def refuse_sealed(self, error: ProtocolError, now: float) -> None:
        """Answer a sealed frame that was dropped, and charge its sender when no honest one would have sent it.

        Of many in one output the first is answered: no answer says which frame it is for, and it costs more than to refuse one.
        What ends the stream says so itself. Any other is nobody's fault while its sender may not know how the chat has changed;
        later it is one that was sent in vain.
        """
        if error.scope is ErrorScope.STREAM:
            self._effects.report(MessageRefused(self._row.chat_id, self.channel.kind, error.code, error.detail))
        elif self._refused != (refused := (self._effects.output.number, error.code)):
            self._refused = refused
            self.refuse_frame(error)
        if error.code in NEVER_RIGHT:
            self._effects.charge(self.neighbour, error)
        elif not self._row.changed_lately(now):
            self._effects.charge(self.neighbour, error, in_vain=True)

    def refuse_proof(self, error: ProtocolError) -> None:
        """Answer what was to prove something and was dropped, an answer, a confirmation or claims; charge it if it is false."""
        self.refuse_frame(error)
        self._effects.charge_unproven(self.neighbour, error)

    def refuse_frame(self, error: ProtocolError) -> None:
        """Answer a frame that was dropped: it ends nothing, whatever the code's usual scope."""
        self.refuse(ProtocolError(error.code, error.detail, scope=ErrorScope.FRAME, retry_after_ms=error.retry_after_ms))

    def confirm(self) -> None:
        """Send our confirmation of the hop's epoch, unless its receiver has shown that it has it."""
        unconfirmed = self.channel.confirm_tag()
        if unconfirmed is not None:
            self.send(Confirm(self._row.chat_id, 0, b"", *unconfirmed))

    # paths

    @property
    def told_up(self) -> bool:
        """What this neighbour was last told: whether its frames would reach the far app."""
        return self._row.was_told_up(self._index)

    def note_told(self, *, up: bool) -> None:
        """It hears it otherwise; or what it was told is void, so that it hears the truth when output is taken."""
        self._row.note_told(self._index, up=up)

    def tell_path(self, *, up: bool) -> None:
        if up != self.told_up:
            self.note_told(up=up)
            self.send(PathState(self._row.chat_id, up))

    # a new stream

    def claim(self, binding: bytes, now: float) -> None:
        """Send our claims on the stream with this session binding; an answer is waited for from now on."""
        if not self.state.ready:
            self.apply(HopInput.CLAIM)
            self.claimed_at = now
            self.answer_claims(binding)

    def answer_claims(self, binding: bytes) -> None:
        self.send(Resume(self._row.chat_id, self.channel.claims(binding)))

    def take_claims(self, message: Resume, binding: bytes, now: float) -> tuple[bool, int]:
        """(whether a newer epoch is used now, positions passed over); raises as `Channel.resume`. The state stays as it is."""
        channel = self.channel
        epoch, stood_at = channel.epoch, channel.send_next + channel.recv_next
        channel.resume(message.claims, binding, now)
        renewed = channel.epoch != epoch
        return renewed, 0 if renewed else channel.send_next + channel.recv_next - stood_at

    def become_ready(self, skipped: int) -> None:
        """Both ends' claims fit."""
        self.apply(HopInput.RESUME)
        self._effects.report(SideResumed(self._row.chat_id, self.channel.kind, skipped))

    def refuse_claims(self, code: ErrorCode) -> None:
        self._effects.report(ResumeRefused(self._row.chat_id, self.channel.kind, code))

    def enter_epoch(self) -> None:
        """This hop uses a new epoch, made on this stream; an offer of ours for one that has come otherwise is void."""
        self.channel.abandon_offer()
        rekeyed = self.channel.epoch > 1 or self.state.quarantined
        self.apply(HopInput.NEW_EPOCH)
        if rekeyed:
            self._effects.report(ChannelRekeyed(self._row.chat_id, self.channel.kind, self.channel.epoch))

    # the window

    def acknowledge(self, seq: int) -> None:
        self.acked = max(self.acked, seq)

    def check_window(self, onward: Hop, seq: int, window: int) -> None:
        """BACKPRESSURE when `seq` is beyond what the app behind `onward` lets this side have under way."""
        if not self._window_known:  # after a restart: an app sends again from its first unacknowledged message
            self._window_known = True
            onward.acknowledge(seq - 1)
        if seq > onward.acked + window:
            raise ProtocolError(ErrorCode.BACKPRESSURE, "beyond the window of unacknowledged messages")
