"""The shell of the directory of apps: feeds its machine with members, apps, look-ups, messages, and hands out the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol, assert_never

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.machine import AskerRefused, HoldersChanged, Homes, Overtaken
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.homes.searches import Found
from hermes_core.protocol.session import AppClaim
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.directory_series import DirectoryMetrics

MAX_WAITING: Final = 32


class HomesListener(Protocol):
    """Who wants to know where apps are."""

    def app_found(self, found: Found) -> None: ...
    def app_overtaken(self, news: Overtaken) -> None: ...


class Mail:
    """What waits for links that are dialled for it: a few messages for each, of more the latest; what is lost is sent again."""

    def __init__(self) -> None:
        self._waiting: dict[NodeId, deque[HomesMessage]] = {}

    def keep(self, node_id: NodeId, message: HomesMessage) -> None:
        self._waiting.setdefault(node_id, deque(maxlen=MAX_WAITING)).append(message)

    def take(self, node_id: NodeId) -> Collection[HomesMessage]:
        """A link stands, or cannot be had."""
        return self._waiting.pop(node_id, ())


class AppHomes:
    """`send` may lose what it is given. `wake` is called when `next_due` may have become earlier."""

    def __init__(
        self,
        homes: Homes,
        listener: HomesListener,
        send: Callable[[NodeId, HomesMessage], None],
        wake: Callable[[], None],
        now: Callable[[], float],
        log: EventLog,
        metrics: DirectoryMetrics,
    ) -> None:
        self._homes = homes
        self._listener = listener
        self._send = send
        self._wake = wake
        self._now = now
        self._log = log
        self._metrics = metrics
        self._closed = False

    def count_held(self) -> int:
        return self._homes.count_held()

    def count_own(self) -> int:
        return self._homes.count_own()

    def close(self) -> None:
        """The node's identity is about to be wiped: nothing is said any more, whoever still has news."""
        self._closed = True

    def set_members(self, incarnations: Mapping[NodeId, int]) -> None:
        """The other members that are up."""
        self._do(lambda homes, now: homes.set_members(incarnations, now))

    def linked(self, node_id: NodeId) -> None:
        """A new link to this member stands."""
        self._do(lambda homes, now: homes.link_up(node_id, now))

    def set_incarnation(self, incarnation: int) -> None:
        self._homes.set_incarnation(incarnation)

    def set_local_apps(self, claims: Mapping[AppId, AppClaim]) -> None:
        self._do(lambda homes, now: homes.set_connected(claims, now))

    def look_up(self, app_id: AppId) -> None:
        self._do(lambda homes, now: homes.look_up(app_id, now))

    def receive(self, node_id: NodeId, message: HomesMessage) -> None:
        self._do(lambda homes, now: homes.receive(node_id, message, now))

    def next_due(self) -> float:
        """When `tick` has something to do."""
        due = None if self._closed else self._homes.next_timer(self._now())
        return float("inf") if due is None else due

    def tick(self) -> None:
        if not self._closed:
            self._homes.handle_timer(self._now())
            self._flush()

    def _do(self, change: Callable[[Homes, float], None]) -> None:
        if not self._closed:
            change(self._homes, self._now())
            self._flush()
            self._wake()

    def _flush(self) -> None:
        output = self._homes.take_output()
        for node_id, message in output.sends:
            self._send(node_id, message)
        for look_up in output.look_ups:
            self._metrics.observe_look_up(look_up.result, look_up.seconds)
        for fate, amount in output.entries.items():
            self._metrics.count_entries(fate, amount)
        for event in output.events:
            match event:
                case Found():
                    self._listener.app_found(event)
                case Overtaken():
                    self._listener.app_overtaken(event)
                case HoldersChanged(apps):
                    self._log.info("app_holders_changed", apps=apps)
                case AskerRefused(node_id, wait_ms, news):
                    self._metrics.count_look_up_refused()
                    if news:
                        self._log.warning("peer_asks_too_much", peer=node_id, retry_after_ms=wait_ms)
                case _:
                    assert_never(event)
