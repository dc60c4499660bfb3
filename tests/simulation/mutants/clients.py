"""Mutants in the client's shell: its driver, its sessions, and the chat that an app holds."""

from __future__ import annotations

from typing import Any

from hermes_client.chat import Chat, Message
from hermes_client.driver import AppDriver
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import ChatResumed, MessageReceived
from hermes_core.protocol.messages import Confirm, Offer
from tests.simulation.invariants.acknowledgements import AcknowledgedMeansTaken
from tests.simulation.invariants.paths import PathsComeUp
from tests.simulation.invariants.remains import NothingRemains
from tests.simulation.invariants.streams import FramesStayOnTheirStream
from tests.simulation.mutants.mutant import EXACTLY_ONCE, Catalogue, Patches, Room

CLIENTS = Catalogue(Room.SHELL)


@CLIENTS.add("last-in-first-out", "Messages that wait for their app are handed over newest first.", EXACTLY_ONCE)
def _(patches: Patches) -> None:
    def apply(self: Chat, event: Any) -> None:
        if isinstance(event, MessageReceived) and self.inbox:
            self.inbox.appendleft(Message(event.seq, event.content))
        else:
            former(self, event)

    former = patches.set(Chat, "apply", apply)


@CLIENTS.add("again-after-resume", "After a resume the last message is handed over once more.", EXACTLY_ONCE, starts_at=1)
def _(patches: Patches) -> None:
    def apply(self: Chat, event: Any) -> None:
        if isinstance(event, MessageReceived):
            vars(self)["_last"] = Message(event.seq, event.content)
        elif isinstance(event, ChatResumed) and "_last" in vars(self):
            self.inbox.append(vars(self)["_last"])
        former(self, event)

    former = patches.set(Chat, "apply", apply)


@CLIENTS.add(
    "delete-forgotten",
    "A client without chats goes to any node, although a Delete may have gone down with its stream.",
    NothingRemains.name,
    history="f8c16a8",
    schedule="mended-a-delete-goes-down-with-its-stream.json",
)
def _(patches: Patches) -> None:
    patches.set(AppDriver, "owes_delete", property(lambda _: False, lambda _self, _value: None))


@CLIENTS.add(
    "confirm-says-no-path",
    "A confirmation that comes again does not tell an app that its path is up, and nobody else does.",
    PathsComeUp.name,
    history="cfdd77a",
    schedule="mended-a-path-is-never-told-to-be-up.json",
)
def _(patches: Patches) -> None:
    inside: list[Confirm] = []

    def take_confirm(self: AppChat, confirm: Confirm, now: float) -> None:
        inside.append(confirm)
        try:
            former(self, confirm, now)
        finally:
            inside.clear()

    def hear_of_path(self: AppChat, now: float) -> None:
        if not inside:
            former_hear(self, now)

    former = AppChat.TAKES[Confirm]
    patches.set(AppChat, "TAKES", {**AppChat.TAKES, Confirm: take_confirm})
    former_hear = patches.set(AppChat, "_hear_of_path", hear_of_path)


@CLIENTS.add(
    "acknowledges-untaken",
    "A message is acknowledged when it has come, not when its app has taken it.",
    AcknowledgedMeansTaken.name,
)
def _(patches: Patches) -> None:
    def dispatch(self: AppDriver, event: Any) -> None:
        former(self, event)
        if isinstance(event, MessageReceived):
            self.acknowledge(event.chat_id, event.seq)

    former = patches.set(AppDriver, "_dispatch", dispatch)


@CLIENTS.add(
    "late-offer",
    "An offer that was queued for a stream which broke leaves on the next one.",
    FramesStayOnTheirStream.name,
    history="46365f6",
    starts_at=1,
)
def _(patches: Patches) -> None:
    def absorb(self: AppDriver) -> None:
        former(self)
        offers = [message for message in self.outbound if isinstance(message, Offer)]
        if offers:
            vars(self)["_offers"] = offers

    def connect(self: AppDriver, *home: Any) -> None:
        former_connect(self, *home)
        self.outbound.extend(vars(self).pop("_offers", ()))
        self.wake.set()

    former = patches.set(AppDriver, "_absorb", absorb)
    former_connect = patches.set(AppDriver, "connect", connect)
