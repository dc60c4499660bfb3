"""Claims of apps, and what nodes say of them, for tests that stand where the mesh or a client does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakKeyDictionary

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity
from hermes_core.ids import AppId, Party, derive_app_id
from hermes_core.protocol.session import AppClaim


def make_claim(app: Identity, home: Party, stamp: int) -> AppClaim:
    """What the app signed when it connected to this node."""
    hello = hashlib.sha256(app.public_key + home.encode() + u64(stamp)).digest()
    signed = lp(labels.CONNECT) + lp(home.encode()) + app.public_key + u64(stamp) + hello
    return AppClaim(app.public_key, stamp, hello, app.sign(signed))


class HomeLearner(Protocol):
    """What of a node's chats takes in where apps are."""

    def learn_home(self, party: Party, claim: AppClaim, now: float, *, online: bool) -> bool: ...
    def end_look_up(self, app_id: AppId, now: float, *, complete: bool) -> list[int]: ...


_TOLD: WeakKeyDictionary[HomeLearner, dict[Party, dict[AppId, AppClaim]]] = WeakKeyDictionary()


def tell_list(chats: HomeLearner, home: Party, claims: Iterable[AppClaim], now: float) -> list[AppId]:
    """Everybody who is connected to a node, as look-ups find them now; who was told of before and is not among them is away.

    Which of those that are connected here have gone there.
    """
    told = _TOLD.setdefault(chats, {})
    former, come = told.get(home, {}), {derive_app_id(claim.app_key): claim for claim in claims}
    told[home] = come
    for app_id in former.keys() - come.keys():
        chats.learn_home(home, former[app_id], now, online=False)
    gone = [app_id for app_id, claim in come.items() if chats.learn_home(home, claim, now, online=True)]
    for app_id in come:
        chats.end_look_up(app_id, now, complete=True)
    return gone


def tell_apps(chats: HomeLearner, home: Party, apps: Iterable[Identity], stamp: int, now: float) -> list[AppId]:
    """The same, all with one stamp."""
    return tell_list(chats, home, [make_claim(app, home, stamp) for app in apps], now)
