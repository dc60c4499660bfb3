"""What the client library raises besides ProtocolError."""

from __future__ import annotations

from hermes_core.errors import HermesError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason


class ConnectError(HermesError):
    """No node could be reached in the time given, or every one refused; `detail` names the last reason."""


class StreamLostError(HermesError):
    """The stream to the node ended; the client reconnects by itself, callers never see this."""


class StreamClosedError(StreamLostError):
    """The node ended the stream in order: it has read what was sent before."""


class HintError(StreamLostError):
    """Something was said, or went wrong, before the node had proved who it is: anybody on the way can say it.

    The client tries again, sooner or later; callers never see this.
    """


class ClientClosedError(HermesError):
    """The client was closed while, or before, the call was made."""


class ChatEndedError(HermesError):
    """The chat is over; `reason` says why."""

    def __init__(self, chat_id: ChatId, reason: CloseReason) -> None:
        super().__init__(f"chat {chat_id.hex()[:8]} ended: {reason.name}")
        self.chat_id = chat_id
        self.reason = reason
