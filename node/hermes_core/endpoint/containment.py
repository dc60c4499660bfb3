"""What nobody foresaw, in one chat: it ends that chat, says so, and leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import ChatFailed
from hermes_core.endpoint.output import Collector
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.protocol.messages import CloseReason, Delete

P = ParamSpec("P")
R = TypeVar("R")


class Containment:
    """Every call into a chat goes through here. `hears`: whether the chat's home is at the end of the stream that stands."""

    def __init__(self, effects: Collector, hears: Callable[[AppChat], bool]) -> None:
        self._effects = effects
        self._hears = hears

    def run(self, chat: AppChat, act: Callable[Concatenate[AppChat, P], object], *args: P.args, **kwargs: P.kwargs) -> None:
        """An input, or time: whatever goes wrong with it, the inputs, timers and output of other chats come all the same."""
        try:
            act(chat, *args, **kwargs)
        except Exception as defect:  # noqa: BLE001 - whatever it is
            self.end(chat, defect)

    def ask(self, chat: AppChat, act: Callable[Concatenate[AppChat, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A wish of the owner: what it raises ProtocolError for changes nothing. INTERNAL: a defect, which ended the chat."""
        try:
            return act(chat, *args, **kwargs)
        except ProtocolError:
            raise
        except Exception as defect:
            self.end(chat, defect)
            raise ProtocolError(ErrorCode.INTERNAL, "a defect ended this chat") from defect

    def end(self, chat: AppChat, defect: Exception) -> None:
        """Nothing of this chat can be relied on any more."""
        with suppress(Exception):
            chat.ending.forget()
        self._effects.blame(chat.chat_id, defect)
        if self._hears(chat):
            self._effects.send(Delete(chat.chat_id, failed=True))
        detail = f"a defect of this app ended the chat: {type(defect).__name__}"
        self._effects.report(ChatFailed(chat.chat_id, ErrorCode.INTERNAL, detail))
        self._effects.end(chat.chat_id, CloseReason.RATCHET_FAILED)
