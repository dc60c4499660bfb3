"""Where apps are: connected here, at home on another node, or away after having been there.

An app's own claims say which node is its home: the one with the highest stamp. Whether it is there says that node, and nobody
else. What is known of apps that are not here came of look-ups (hermes_core.mesh.homes), which verified it, and grows old.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId, Party, derive_app_id, node_of_party
from hermes_core.limits import DIRECTORY_TTL_S
from hermes_core.protocol.session import AppClaim
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.route_waits import NoStreamError
from hermes_core.relay.rows import ChatIndex
from hermes_core.session.stamps import judge_stamp

MAX_REMEMBERED: Final = 65_536
"""Apps that are not connected here, in memory, half a KiB each; who was not heard of for longest is forgotten first."""
FRESH_S: Final = 30.0
"""For how long what a look-up found is not asked again: an offer that goes to where an app was is refused, and corrects it."""
ANSWERED_S: Final = 3.0
"""The same for whoever asks where an app is, and would go by the answer."""
SETTLES_S: Final = 3.0
"""After a node came: entries are handed to other holders."""


@dataclass(frozen=True, slots=True)
class AppHome:
    """The node that an app went to, by its claim. `online`: that node's last word of it."""

    node_id: NodeId
    party: Party
    claim: AppClaim
    online: bool

    def outranks(self, other: AppHome) -> bool:
        """The higher stamp, of equal ones the lower node id; of one node the later news."""
        if self.node_id == other.node_id:
            return self.claim.stamp >= other.claim.stamp
        return (self.claim.stamp, other.node_id) > (other.claim.stamp, self.node_id)

    def gone(self) -> AppHome:
        """The app is not there any more."""
        return AppHome(self.node_id, self.party, self.claim, online=False)


class Directory:
    """`links`, `index` and `calendar` are the router's. Of each app one home is kept."""

    def __init__(
        self, node_id: NodeId, party: Party, links: Mapping[Neighbour, Link], index: ChatIndex, calendar: Calendar
    ) -> None:
        self._node_id = node_id
        self._party = party
        self._links = links
        self._index = index
        self._calendar = calendar
        self._homes: dict[AppId, AppHome] = {}
        self._others: OrderedDict[AppId, None] = OrderedDict()
        self._answered: OrderedDict[AppId, float] = OrderedDict()
        self._joined_at = float("-inf")

    def __len__(self) -> int:
        """Apps that are not connected here."""
        return len(self._others)

    # what is said

    def judge(self, app_id: AppId, stamp: int, now: float) -> AppHome | None:
        """A Connect with this stamp: the home that it is refused with, because the app has a higher one; CLOCK_SKEW."""
        if self._calendar.settled:
            judge_stamp(stamp, self._calendar.date(now))
        known = self._homes.get(app_id)
        if known is not None and not self.counts(known.claim.stamp, now):
            self._forget(app_id)  # taken in while this node's clock was in doubt: what lies too far ahead binds nobody
            known = None
        return known if known is not None and known.claim.stamp >= stamp else None

    def counts(self, stamp: int, now: float) -> bool:
        """Whether a stamp is neither too far ahead nor too old; any is while this node's own clock is in doubt."""
        try:
            if self._calendar.settled:
                judge_stamp(stamp, self._calendar.date(now))
        except ProtocolError:
            return False
        return True

    def note_here(self, app_id: AppId, claim: AppClaim) -> None:
        """An app connected to this node, and proved it."""
        self._homes[app_id] = AppHome(self._node_id, self._party, claim, online=True)
        self._others.pop(app_id, None)

    def note_away(self, app_id: AppId) -> None:
        """An app that was connected here is gone."""
        known = self._homes.get(app_id)
        if known is not None and known.node_id == self._node_id:
            self._put(app_id, known.gone())

    def learn(self, party: Party, claim: AppClaim, now: float, *, online: bool) -> bool:
        """What is known, and was verified, of an app's home. True: the app is connected here, and is at home there."""
        app_id, home = derive_app_id(claim.app_key), AppHome(node_of_party(party), party, claim, online)
        if not self.counts(claim.stamp, now):
            return False
        known, here = self._homes.get(app_id), app_neighbour(app_id) in self._links
        if known is not None and self.counts(known.claim.stamp, now) and not home.outranks(known):
            return False
        if home.node_id == self._node_id:
            if not here and (known is None or known.node_id != self._node_id):
                self._put(app_id, home.gone())
            return False
        self._put(app_id, home)
        return here

    def note_absent(self, app_id: AppId, node_id: NodeId) -> None:
        """That node says itself that the app is not there."""
        known = self._homes.get(app_id)
        if known is not None and known.node_id == node_id != self._node_id:
            self._put(app_id, known.gone())

    def lose_node(self, node_id: NodeId) -> None:
        """A node is gone, and its apps are away."""
        for app_id in [app_id for app_id in self._others if self._homes[app_id].node_id == node_id]:
            self._homes[app_id] = self._homes[app_id].gone()

    def _put(self, app_id: AppId, home: AppHome) -> None:
        self._homes[app_id] = home
        self._others[app_id] = None
        self._others.move_to_end(app_id)
        if len(self._others) > MAX_REMEMBERED:
            self._forget(next(iter(self._others)))

    def _forget(self, app_id: AppId) -> None:
        self._others.pop(app_id, None)
        self._homes.pop(app_id, None)

    def expire(self, now: float) -> None:
        """Apps that were not heard of for so long that their stamps count no more."""
        oldest_ms = (self._calendar.date(now) - DIRECTORY_TTL_S) * 1000
        while self._others and self._calendar.settled:
            app_id = next(iter(self._others))
            if self._homes[app_id].claim.stamp >= oldest_ms:
                return
            self._forget(app_id)

    # how old that is

    def note_answered(self, app_id: AppId, now: float) -> None:
        """A look-up has ended, whatever it found."""
        self._answered[app_id] = now
        self._answered.move_to_end(app_id)
        if len(self._answered) > MAX_REMEMBERED:
            self._answered.popitem(last=False)

    def note_joined(self, now: float) -> None:
        """A stream to another node stands: what nobody knew may be known there, once its entries are where they belong."""
        self._joined_at = now

    def was_asked(self, app_id: AppId, now: float, within_s: float = FRESH_S) -> bool:
        """Whether a look-up of it has ended not long ago, and nothing has happened since that may have made it find more."""
        answered_at = self._answered.get(app_id)
        if answered_at is None or now - answered_at >= within_s:
            return False
        settled_at = self._joined_at + SETTLES_S
        return answered_at >= (self._joined_at if now < settled_at else settled_at) or self.locate(app_id) is not None

    def is_found(self, app_id: AppId, now: float, within_s: float = FRESH_S) -> bool:
        """Whether it is here, or was found on another node not long ago."""
        if app_neighbour(app_id) in self._links:
            return True
        return self.was_asked(app_id, now, within_s) and self.locate(app_id) is not None

    # where apps are

    def locate(self, app_id: AppId) -> NodeId | None:
        """The node where an app is connected, as far as this one knows."""
        if app_neighbour(app_id) in self._links:
            return self._node_id
        home = self._homes.get(app_id)
        return home.node_id if home is not None and home.online and home.node_id != self._node_id else None

    def last_home(self, app_id: AppId) -> NodeId | None:
        """Where an app that is not connected was last, as far as this node knows: None for one it never heard of."""
        home = self._homes.get(app_id)
        if home is not None:
            return home.node_id
        return self._node_id if self._index.knows(app_neighbour(app_id)) else None

    def find_route(self, source: Neighbour, target: AppId) -> Link:
        """Over which stream an offer of `source` goes on.

        TARGET_NOT_FOUND: nobody ever heard of the app. TARGET_OFFLINE: it is away. ROUTE_UNAVAILABLE: it is there, and the mesh
        has no way to it. What another node sends ends here: a chat has two hops on a node, and no third node; and that node has
        heard of the app.
        """
        link = self._links.get(app_neighbour(target))
        if link is not None:
            return link
        node_id = self.locate(target)
        if node_id is None or source.node_id is not None:
            if node_id is not None or source.node_id is not None or self.last_home(target) is not None:
                raise ProtocolError(ErrorCode.TARGET_OFFLINE, "the app is not connected; try again when it is")
            raise ProtocolError(ErrorCode.TARGET_NOT_FOUND, "nobody with this app id has connected so far; check it")
        link = self._links.get(node_neighbour(node_id))
        if link is None:
            raise NoStreamError(node_id)
        return link
