"""The two hops of a chat together: what holds for both, and what is done to both."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.context import ChatContext
from hermes_core.relay.hop import Hop
from hermes_core.relay.hop_states import HopInput
from hermes_core.relay.rows import Row


class Hops:
    """Hop 0 leads to the initiating app, hop 1 to the other."""

    __slots__ = ("_context", "_row", "chat_id", "pair")

    def __init__(self, context: ChatContext, row: Row, apps: tuple[AppId, AppId], channels: tuple[Channel, Channel]) -> None:
        self._context = context
        self._row = row
        self.chat_id = row.chat_id
        self.pair = (Hop(apps[0], channels, 0, row, context.effects), Hop(apps[1], channels, 1, row, context.effects))

    def __getitem__(self, index: int) -> Hop:
        return self.pair[index]

    def __iter__(self) -> Iterator[Hop]:
        return iter(self.pair)

    def rebind(self, index: int, channel: Channel) -> Hop:
        """Hop `index` has another channel, to where its row says; the former one's is wiped. How far its app is stays known."""
        former, other = self.pair[index], self.pair[1 - index]
        former.channel.wipe()
        channels = (channel, other.channel) if index == 0 else (other.channel, channel)
        hop = Hop(former.app_id, channels, index, self._row, self._context.effects)
        hop.restore(acked=former.acked, quarantined=False)
        other.use(channels)
        self.pair = (hop, other) if index == 0 else (other, hop)
        return hop

    @property
    def way(self) -> tuple[object, ...]:
        """What a frame needs to fit: to whom the hops lead, how they stand, which keys are in use."""
        first, second = self.pair
        return self._row.neighbours, first.state, second.state, first.channel.epoch, second.channel.epoch

    @property
    def app_ids(self) -> tuple[AppId, AppId]:
        return self.pair[0].app_id, self.pair[1].app_id

    @property
    def dirty(self) -> bool:
        return self.pair[0].channel.dirty or self.pair[1].channel.dirty

    @property
    def early(self) -> bool:
        """Positions were reserved before they are needed."""
        return self.pair[0].channel.early or self.pair[1].channel.early

    @property
    def have_news(self) -> bool:
        """Either channel has something for whoever settles the chat."""
        return bool(self.pair[0].channel.epochs.news or self.pair[1].channel.epochs.news)

    @property
    def epochs(self) -> tuple[int, int]:
        return self.pair[0].channel.epoch, self.pair[1].channel.epoch

    @property
    def keys_began_at(self) -> float:
        """When the older of the two epochs in use began."""
        return min(self.pair[0].channel.epoch_started_at_s, self.pair[1].channel.epoch_started_at_s)

    @property
    def usable(self) -> bool:
        """Both have an epoch that no rollback has put in doubt."""
        return all(hop.channel.epoch and not hop.state.quarantined for hop in self.pair)

    @property
    def lead_on(self) -> bool:
        """Both apps are there; only then can their chat be rekeyed at all."""
        return self.pair[0].leads_on and self.pair[1].leads_on

    def tell_paths(self) -> None:
        """Tell each neighbour whether its frames would reach the far app, when it was told otherwise."""
        first, second = self.pair
        for hop, onward in ((first, second), (second, first)):
            if hop.state.ready:
                hop.tell_path(up=onward.leads_on)

    def tell_apps(self, notice: ErrorNotice) -> None:
        """Send a notice to the apps at home here."""
        for hop in self.pair:
            if hop.is_leg:
                hop.send(notice)

    def refuse_apps(self, error: ProtocolError, *, informed: Hop | None) -> None:
        """Tell the apps at home here what is wrong with the chat, but for one that knows."""
        for hop in self.pair:
            if hop.is_leg and hop is not informed:
                hop.refuse(error)

    def quarantine(self) -> None:
        for hop in self.pair:
            hop.tell_path(up=False)  # now: nothing is told on a hop that is not ready
            hop.apply(HopInput.QUARANTINE)

    def wipe(self) -> None:
        for hop in self.pair:
            hop.channel.wipe()

    # deadlines

    def channels_due_at(self) -> float | None:
        """When a channel has something to wipe."""
        first, second = self.pair[0].channel.next_timer(), self.pair[1].channel.next_timer()
        if first is None or second is None:
            return second if first is None else first
        return min(first, second)

    def wipe_what_is_due(self, now: float) -> None:
        for hop in self.pair:
            hop.channel.handle_timer(now)

    def claims_due_at(self) -> float | None:
        """When claims that were not answered are to be sent again."""
        sent = [hop.claimed_at for hop in self.pair if hop.state.claimed]
        return min(sent) + self._context.params.resume_retry_s if sent else None

    def repeat_claims(self, now: float, *, useless: bool) -> None:
        """Send claims again that were not answered; `useless`: only new keys can help, so they are given up."""
        for hop in self.pair:
            if hop.state.claimed and now >= hop.claimed_at + self._context.params.resume_retry_s:
                if useless:
                    hop.apply(HopInput.GIVE_UP_CLAIM)
                else:
                    hop.claim(self._context.links[hop.neighbour].binding, now)
