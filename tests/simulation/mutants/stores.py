"""Mutants in an app's store, in what is kept of a chat, and in how a client goes on from that."""

from __future__ import annotations

from typing import Any

from hermes_client.chat import Chat
from hermes_client.commits import CommitQueue
from hermes_client.keeper import HomeKeeper
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.claims import PeerClaims
from hermes_core.endpoint.events import MessagesAcked
from hermes_core.endpoint.hop import HopInput
from hermes_core.endpoint.keeper import Keeper, _mark
from tests.simulation.invariants.paths import PathsComeUp
from tests.simulation.invariants.stores import AppDiskAheadOfWire
from tests.simulation.ledger import PUT_BACK
from tests.simulation.mutants.mutant import Catalogue, Patches, Room, do_nothing

STORES = Catalogue(Room.SHELL)


@STORES.add("store-sends-first", "What an app sends leaves, and then it is committed.", AppDiskAheadOfWire.name, starts_at=1)
def _(patches: Patches) -> None:
    def add(self: CommitQueue, output: Any) -> None:
        self._release(output.sends)
        output.sends.clear()
        former(self, output)

    former = patches.set(CommitQueue, "add", add)


@STORES.add(
    "cursor-not-kept",
    "What an app has taken is kept with what it says next, not before it is acknowledged.",
    PUT_BACK,
    starts_at=4,
)
def _(patches: Patches) -> None:
    def collect(self: Keeper, chat: AppChat) -> None:
        transfer, epoch = chat.transfer, chat.end_to_end.epoch
        said = bool(transfer._changed) or transfer._seqs[:2] != transfer._kept_seqs[:2]
        if (
            said
            or self._kept.get(chat.chat_id) != _mark(chat)
            or vars(self).setdefault("_epochs", {}).get(chat.chat_id) != epoch
        ):
            former(self, chat)
            vars(self).setdefault("_epochs", {})[chat.chat_id] = epoch

    former = patches.set(Keeper, "collect", collect)


@STORES.add("claims-not-awaited", "An app that comes back asks nobody where it stands.", PUT_BACK, starts_at=33)
def _(patches: Patches) -> None:
    patches.set(PeerClaims, "await_first", do_nothing)


@STORES.add(
    "patience-of-a-start",
    "An app that comes back to a home which is gone for good waits for it for ever.",
    PathsComeUp.name,
    schedule="mended-a-home-is-lost-while-its-app-is-away.json",
)
def _(patches: Patches) -> None:
    def init(self: HomeKeeper, *given: Any, **more: Any) -> None:
        former(self, *given, **more)
        self._patience.regain()

    former = patches.set(HomeKeeper, "__init__", init)


@STORES.add(
    "counts-below-acknowledged",
    "An app whose store has forgotten messages counts fewer as sent than as acknowledged.",
    PathsComeUp.name,
    schedule="mended-a-store-has-forgotten-what-was-acknowledged.json",
)
def _(patches: Patches) -> None:
    def apply(self: Chat, event: Any) -> None:
        last_sent = self.last_sent
        former(self, event)
        if isinstance(event, MessagesAcked):
            self.last_sent = last_sent

    former = patches.set(Chat, "apply", apply)


@STORES.add(
    "open-unheard",
    "A store that was put back to before its chat was open refuses every cure, and the chat stands still.",
    PathsComeUp.name,
    schedule="mended-a-store-has-not-heard-that-its-chat-is-open.json",
)
def _(patches: Patches) -> None:
    def take_rollback(self: AppChat, now: float) -> None:
        if self.handshake.active or not self.transfer.claims.awaited:
            former(self, now)
        else:
            self.hop.apply(HopInput.ROLLBACK)

    former = patches.set(AppChat, "_take_rollback", take_rollback)
