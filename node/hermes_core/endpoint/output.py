"""What an app's chats want done: messages for the home node, in order, and events for the owner."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Protocol

from hermes_core.endpoint.events import AppEvent, ChatEnded
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.errors import ProtocolError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import ChatMessage, CloseReason, Delete
from hermes_core.values import dataclass


@dataclass(slots=True)
class AppOutput:
    """`hang_up`: why the stream to the home node has to end, if it has. `changes` are durable before a send leaves.

    `defects`: what went wrong in chats that ended for it, which nobody foresaw; their ends are among the events.
    """

    sends: list[ChatMessage] = field(default_factory=list)
    events: list[AppEvent] = field(default_factory=list)
    hang_up: ProtocolError | None = None
    changes: KeptChanges | None = None
    leave_home: bool = False
    """Another node should become home: this one does not do for a chat that moved here, and has not done for any other."""
    defects: list[tuple[ChatId, Exception]] = field(default_factory=list)


class Effects(Protocol):
    """Where a chat puts what it wants done. It reads nothing back."""

    def send(self, message: ChatMessage) -> None:
        """To the home node, whose stream stands."""

    def report(self, event: AppEvent) -> None:
        """To the owner."""

    def end(self, chat_id: ChatId, reason: CloseReason, delete: Delete | None = None) -> None:
        """The chat is over, and has wiped itself; `delete`: what a node hears that still names it."""

    def doubt_home(self) -> None:
        """A chat that moved to the node of the stream has come to nothing so far."""

    def hang_up(self, error: ProtocolError) -> None:
        """Nothing that still comes on the stream can be opened: chats are resumed on another."""


class Collector:
    """Holds the effects of all chats until the router takes them."""

    def __init__(self) -> None:
        self._output = AppOutput()
        self._hang_up: ProtocolError | None = None
        self._doubts_home = False
        self._ended: dict[ChatId, Delete | None] = {}

    def send(self, message: ChatMessage) -> None:
        self._output.sends.append(message)

    def report(self, event: AppEvent) -> None:
        self._output.events.append(event)

    def end(self, chat_id: ChatId, reason: CloseReason, delete: Delete | None = None) -> None:
        if chat_id not in self._ended:
            self._ended[chat_id] = delete
            self.report(ChatEnded(chat_id, reason))

    def blame(self, chat_id: ChatId, defect: Exception) -> None:
        """Why a chat ended that did not end itself."""
        self._output.defects.append((chat_id, defect))

    def hang_up(self, error: ProtocolError) -> None:
        self._hang_up = error

    def doubt_home(self) -> None:
        self._doubts_home = True

    def take_doubt(self) -> bool:
        """Whether a chat doubted its home since the last time."""
        doubts, self._doubts_home = self._doubts_home, False
        return doubts

    def void_sends(self) -> None:
        """The stream is gone, and with it what nobody has collected."""
        self._output.sends.clear()
        self._hang_up = None
        self._doubts_home = False

    def take_ended(self) -> dict[ChatId, Delete | None]:
        """Chats that are over, and of which nobody has taken note yet, with what their nodes are told."""
        ended = self._ended
        if ended:
            self._ended = {}
        return ended

    def take_output(self, changes: KeptChanges | None = None, *, leave_home: bool = False) -> AppOutput:
        """With the `changes` that belong to it."""
        output, self._output = self._output, AppOutput()
        if changes is not None or leave_home:
            output = replace(output, changes=changes, leave_home=leave_home)
        if self._hang_up is not None:
            output, self._hang_up = replace(output, hang_up=self._hang_up), None
        return output
