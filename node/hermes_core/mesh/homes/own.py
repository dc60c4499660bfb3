"""This node's own apps as they are published: who is connected, and who was of late."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

from hermes_core.crypto.signing import Identity
from hermes_core.ids import AppId, NodeId, node_party
from hermes_core.mesh.homes.entry import HomeEntry, NodeName, Presence, build_entry, sign_presence
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.protocol.session import AppClaim


class OwnApp:
    """`presence`: this node's word, signed when first needed. `accepted`: a holder took the claim, and knew no newer one."""

    __slots__ = ("accepted", "claim", "holders", "online", "presence", "refreshed_at")

    def __init__(self, claim: AppClaim, now: float) -> None:
        self.claim = claim
        self.online = True
        self.presence: Presence | None = None
        self.accepted = False
        self.holders: tuple[NodeId, ...] = ()
        self.refreshed_at = now


class OwnApps:
    """The owner of what this node says of its apps."""

    def __init__(self, identity: Identity, node_id: NodeId, incarnation: int, params: HomesParams) -> None:
        self._identity = identity
        self._home = NodeName(node_id, identity.public_key)
        self._party = node_party(node_id, identity.public_key)
        self._incarnation = incarnation
        self._params = params
        self._connected: Mapping[AppId, AppClaim] = {}
        self._apps: OrderedDict[AppId, OwnApp] = OrderedDict()  # who was sent to its holders longest ago comes first
        self._gone: OrderedDict[AppId, float] = OrderedDict()
        self._version = 0

    @property
    def name(self) -> NodeName:
        return self._home

    def __len__(self) -> int:
        return len(self._apps)

    @property
    def app_ids(self) -> tuple[AppId, ...]:
        return tuple(self._apps)

    def get(self, app_id: AppId) -> OwnApp | None:
        return self._apps.get(app_id)

    def set_incarnation(self, incarnation: int) -> None:
        """Words of the former one are signed anew as they are sent again."""
        self._incarnation = incarnation

    def set_connected(self, claims: Mapping[AppId, AppClaim], now: float) -> list[AppId]:
        """The apps that are connected, each with its newest claim. Of whom others have to hear. The mapping is kept."""
        former, self._connected = self._connected, claims
        come = [app_id for app_id, claim in claims.items() if former.get(app_id) != claim]
        gone = [app_id for app_id in former.keys() - claims.keys() if app_id in self._apps]
        for app_id in come:
            self._note_here(app_id, claims[app_id], now)
        for app_id in sorted(gone):
            self._note_away(app_id, now)
        return [*come, *sorted(gone)]

    def _note_here(self, app_id: AppId, claim: AppClaim, now: float) -> None:
        app = self._apps.get(app_id)
        if app is None:
            self._apps[app_id] = OwnApp(claim, now)
            return
        app.claim, app.accepted = claim, False
        if not app.online:
            app.online, app.presence = True, None
            self._gone.pop(app_id, None)

    def _note_away(self, app_id: AppId, now: float) -> None:
        app = self._apps[app_id]
        app.online, app.presence = False, None
        self._gone[app_id] = now
        if len(self._gone) > self._params.max_gone:
            self.drop(next(iter(self._gone)))

    def drop(self, app_id: AppId) -> None:
        """It is at home elsewhere, or gone for so long that nobody needs to know."""
        self._apps.pop(app_id, None)
        self._gone.pop(app_id, None)

    def note_accepted(self, app_ids: Collection[AppId]) -> None:
        """A holder took what was said of these, and knew of no newer home."""
        for app_id in app_ids:
            app = self._apps.get(app_id)
            if app is not None:
                app.accepted = True

    def find_entry(self, app_id: AppId) -> HomeEntry | None:
        """What this node says of an app of its own."""
        app = self._apps.get(app_id)
        if app is None:
            return None
        if app.presence is None or app.presence.incarnation != self._incarnation:
            self._version += 1
            app.presence = sign_presence(
                self._identity, self._party, app.claim.app_key, self._incarnation, self._version, online=app.online
            )
        return build_entry(self._home, app.claim, app.presence)

    # time

    def next_timer(self) -> float | None:
        """When an app is to be sent to its holders again, or forgotten."""
        first = next(iter(self._apps), None)
        refresh_at = None if first is None else self._apps[first].refreshed_at + self._params.refresh_s
        gone_at = next(iter(self._gone.values()), None)
        forget_at = None if gone_at is None else gone_at + self._params.kept_s
        return min((due for due in (refresh_at, forget_at) if due is not None), default=None)

    def expire(self, now: float) -> None:
        while self._gone and next(iter(self._gone.values())) + self._params.kept_s <= now:
            self.drop(next(iter(self._gone)))

    def take_due(self, now: float, limit: int) -> list[AppId]:
        """Apps that are to be sent again, at most so many; they count as sent."""
        due: list[AppId] = []
        while self._apps and len(due) < limit:
            app_id, app = next(iter(self._apps.items()))
            if app.refreshed_at + self._params.refresh_s > now:
                break
            app.refreshed_at = now
            self._apps.move_to_end(app_id)
            due.append(app_id)
        return due
