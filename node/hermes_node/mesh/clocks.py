"""Clocks between nodes: each says its time when a link comes up; the shell of the machine that judges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hermes_core.clock_check import ClockJudgement
from hermes_core.clock_peers import ClockPeers
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.mesh.messages import Clock
from hermes_node.clock import SteadyClock
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.links import GossipLink


class Dated(Protocol):
    """What goes by the date: how long chats were idle, and how old their keys are."""

    def set_calendar(self, ahead_s: float) -> None: ...
    def doubt_keys(self) -> None: ...
    def trust_clock(self) -> None: ...


class Clocks:
    """Feeds the machine with what others say, and does what it concludes."""

    def __init__(
        self,
        *,
        peers: ClockPeers,
        clock: SteadyClock,
        chats: Dated,
        count_doubt: Callable[[ClockJudgement], None],
        log: EventLog,
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._chats = chats
        self._count_doubt = count_doubt
        self._log = log
        self._spoke: dict[GossipLink, bool] = {}

    def linked(self, link: GossipLink) -> None:
        """The other node hears what this machine's clock says: not what is believed of it, or nodes would confirm beliefs."""
        self._spoke[link] = False
        link.send(Clock(max(0, round(self._clock.wall() * 1000))))

    def unlinked(self, link: GossipLink) -> None:
        self._spoke.pop(link, None)
        if all(other.node_id != link.node_id for other in self._spoke):
            self._peers.drop_peer(link.node_id)

    def receive(self, link: GossipLink, message: Clock) -> None:
        """ProtocolError ends the stream: a node says its time once on each."""
        if self._spoke.get(link, False):
            raise ProtocolError(ErrorCode.INVALID_FRAME, "a second clock on one stream", scope=ErrorScope.STREAM)
        if link in self._spoke:
            self._spoke[link] = True
            self._peers.take_peer(link.node_id, message.unix_ms / 1000, self._clock.wall(), self._clock.now())
            self._flush()

    def take_operator(self, unix_ms: int) -> None:
        """The operator's clock; 0: it says none."""
        if unix_ms:
            self._peers.take_operator(unix_ms / 1000, self._clock.wall(), self._clock.now())
            self._flush()

    def next_due(self) -> float:
        """When `tick` has something to do."""
        due = self._peers.next_timer()
        return float("inf") if due is None else due

    def tick(self) -> None:
        self._peers.handle_timer(self._clock.now())
        self._flush()

    def _flush(self) -> None:
        output = self._peers.take_output()
        if output.doubt is not None:
            self._count_doubt(output.doubt)
            self._chats.doubt_keys()
        if output.ahead_s is not None:
            self._chats.set_calendar(output.ahead_s)
            self._log.info("date_settled", seconds=round(output.ahead_s))
        if output.confirmed:
            self._chats.trust_clock()
            self._log.info("clock_confirmed")
