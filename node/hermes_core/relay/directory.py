"""Where apps are: connected here, at home on another node, or away after having been there.

An app's own claims say which node is its home: the one with the highest stamp. Whether it is there says that node, and nobody
else. Neither counts alone. A claim is verified when it is used, so that reconnects cost nothing where nobody asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId, Party, derive_app_id
from hermes_core.limits import DIRECTORY_TTL_S
from hermes_core.mesh.messages import DirectoryEntry
from hermes_core.protocol.session import AppClaim
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.route_waits import NoStreamError
from hermes_core.relay.rows import ChatIndex
from hermes_core.session.connect import verify_claim
from hermes_core.session.stamps import judge_stamp

MAX_REMEMBERED: Final = 65_536
"""Apps that were there and are away, in memory, half a KiB each; the one that went first is forgotten first."""


@dataclass(slots=True)
class AppHome:
    """A node that an app went to, by its claim. `online`: that node's last word of it. `proven`: the claim was verified."""

    node_id: NodeId
    party: Party
    claim: AppClaim
    online: bool
    proven: bool

    def prove(self) -> bool:
        """Whether the app signed the claim."""
        if not self.proven:
            try:
                verify_claim(self.party, self.claim)
            except ProtocolError:
                return False
            self.proven = True
        return True

    def take_proof(self, same: AppHome | None) -> None:
        """What was known of the same claim needs no second look."""
        self.proven = self.proven or (same is not None and same.proven)

    def leave(self) -> None:
        """The app is not there any more."""
        self.online = False


class Directory:
    """`links`, `index` and `calendar` are the router's. Of each app at most one home a node is kept."""

    def __init__(
        self, node_id: NodeId, party: Party, links: Mapping[Neighbour, Link], index: ChatIndex, calendar: Calendar
    ) -> None:
        self._node_id = node_id
        self._party = party
        self._links = links
        self._index = index
        self._calendar = calendar
        self._homes: dict[AppId, list[AppHome]] = {}
        self._listed: dict[NodeId, set[AppId]] = {}
        self._away: OrderedDict[AppId, None] = OrderedDict()

    # what is said

    def judge(self, app_id: AppId, stamp: int, now: float) -> AppHome | None:
        """A Connect with this stamp: the home that it is refused with, because the app has a higher one; CLOCK_SKEW."""
        if self._calendar.settled:
            judge_stamp(stamp, self._calendar.date(now))
            self._drop_ahead(app_id, now)
        known = self.find_home(app_id)
        return known if known is not None and known.claim.stamp >= stamp else None

    def note_here(self, app_id: AppId, claim: AppClaim) -> None:
        """An app connected to this node, and proved it."""
        self._put(app_id, AppHome(self._node_id, self._party, claim, online=True, proven=True))

    def note_away(self, app_id: AppId) -> None:
        """An app that was connected here is gone."""
        self._leave(app_id, self._node_id)

    def update(self, party: Party, entry: DirectoryEntry, now: float) -> list[AppId]:
        """What a node says of its apps. Which of those that are connected here have gone there since: verified."""
        former = self._listed.setdefault(entry.node_id, set())
        come = {derive_app_id(claim.app_key): claim for claim in entry.claims if self._counts(claim, now)}
        for app_id in entry.gone & former if entry.since else former - come.keys():
            former.discard(app_id)
            self._leave(app_id, entry.node_id)
        former.update(come)
        gone = []
        for app_id, claim in come.items():
            self._put(app_id, AppHome(entry.node_id, party, claim, online=True, proven=False))
            if app_neighbour(app_id) in self._links:
                home = self.find_home(app_id)
                if home is not None and home.node_id != self._node_id:
                    gone.append(app_id)
        return gone

    def lose_node(self, node_id: NodeId) -> None:
        """A node is gone, and its apps are away."""
        for app_id in self._listed.pop(node_id, ()):
            self._leave(app_id, node_id)

    def _drop_ahead(self, app_id: AppId, now: float) -> None:
        """What was taken in while this node's clock was in doubt, and lies too far ahead, binds nobody."""
        homes = self._homes.get(app_id, [])
        homes[:] = [home for home in homes if self._counts(home.claim, now)]

    def _counts(self, claim: AppClaim, now: float) -> bool:
        try:
            if self._calendar.settled:
                judge_stamp(claim.stamp, self._calendar.date(now))
        except ProtocolError:
            return False
        return True

    # where apps are

    def find_home(self, app_id: AppId) -> AppHome | None:
        """The home by the highest stamp; of equal ones the lower node id. What turns out to be forged is forgotten."""
        homes = self._homes.get(app_id)
        if homes is None:
            return None
        for home in sorted(homes, key=lambda home: (-home.claim.stamp, home.node_id)):
            if home.prove():
                return home
            homes.remove(home)
        del self._homes[app_id]
        self._away.pop(app_id, None)
        return None

    def _put(self, app_id: AppId, home: AppHome) -> None:
        """In the place of what was known of the app and this node; what is away, and overtaken by what is proven, goes."""
        homes = self._homes.setdefault(app_id, [])
        kept = [other for other in homes if other.node_id != home.node_id and not _is_overtaken(other, home)]
        same = next((other for other in homes if other.party == home.party and other.claim == home.claim), None)
        home.take_proof(same)
        self._homes[app_id] = [*kept, home]
        self._away.pop(app_id, None)

    def _leave(self, app_id: AppId, node_id: NodeId) -> None:
        """That node says, or its end does, that the app is not there."""
        homes = self._homes.get(app_id, [])
        for home in homes:
            if home.node_id == node_id:
                home.leave()
        if any(home.online for home in homes):
            return
        self._away[app_id] = None
        self._away.move_to_end(app_id)
        if len(self._away) > MAX_REMEMBERED:
            self._forget(next(iter(self._away)))

    def _forget(self, app_id: AppId) -> None:
        self._away.pop(app_id, None)
        self._homes.pop(app_id, None)

    def expire(self, now: float) -> None:
        """Apps that went so long ago that their stamps count no more."""
        oldest_ms = (self._calendar.date(now) - DIRECTORY_TTL_S) * 1000
        while self._away and self._calendar.settled:
            app_id = next(iter(self._away))
            if any(home.claim.stamp >= oldest_ms for home in self._homes.get(app_id, [])):
                return
            self._forget(app_id)

    def locate(self, app_id: AppId) -> NodeId | None:
        """The node where an app is connected, as far as this one knows."""
        if app_neighbour(app_id) in self._links:
            return self._node_id
        home = self.find_home(app_id)
        return home.node_id if home is not None and home.online and home.node_id != self._node_id else None

    def last_home(self, app_id: AppId) -> NodeId | None:
        """Where an app that is not connected was last, as far as this node knows: None for one it never heard of."""
        home = self.find_home(app_id)
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
        if node_id is None or node_id == self._node_id or source.node_id is not None:
            if node_id is not None or source.node_id is not None or self.last_home(target) is not None:
                raise ProtocolError(ErrorCode.TARGET_OFFLINE, "the app is not connected; try again when it is")
            raise ProtocolError(ErrorCode.TARGET_NOT_FOUND, "nobody with this app id has connected so far; check it")
        link = self._links.get(node_neighbour(node_id))
        if link is None:
            raise NoStreamError(node_id)
        return link


def _is_overtaken(other: AppHome, by: AppHome) -> bool:
    return not other.online and by.proven and other.claim.stamp < by.claim.stamp
