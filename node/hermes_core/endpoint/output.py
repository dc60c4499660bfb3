"""What an app's chats want done: messages for the home node, in order, and events for the owner."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.endpoint.events import AppEvent
from hermes_core.protocol.messages import ChatMessage


@dataclass(slots=True)
class AppOutput:
    sends: list[ChatMessage] = field(default_factory=list)
    events: list[AppEvent] = field(default_factory=list)
