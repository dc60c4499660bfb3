"""What the client library raises besides ProtocolError."""

from __future__ import annotations

from hermes_core.errors import HermesError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason


class ConnectError(HermesError):
    """No node could be reached in the time given, or every one refused; `detail` names the last reason."""


class ConnectSetupError(ConnectError):
    """No node can be reached as the client was told to, however often it tries; `detail` says what to change.

    A file that is missing, an authority that did not sign the node's certificate, TLS where there is none, none where there is
    TLS, a name that does not exist. It is raised at once, and only before a session ever stood.
    """


class CallTimeoutError(HermesError, TimeoutError):
    """The time given for a call is over; what it began is undone."""


class StreamLostError(HermesError):
    """The stream to the node ended; the client reconnects by itself, callers never see this."""


class StreamClosedError(StreamLostError):
    """The node ended the stream in order: it has read what was sent before."""


class HintError(StreamLostError):
    """Something was said, or went wrong, before the node had proved who it is: anybody on the way can say it.

    The client tries again, sooner or later (`retry_after_ms`: as was asked for); callers never see this.
    """

    def __init__(self, detail: str, retry_after_ms: int = 0) -> None:
        super().__init__(detail)
        self.retry_after_ms = retry_after_ms


class ClientClosedError(HermesError):
    """The client was closed while, or before, the call was made."""


class SessionReplacedError(ClientClosedError):
    """Another process connected with the same identity: its session stands, this client is closed and its chats are over."""


class ChatEndedError(HermesError):
    """The chat is over; `reason` says why, `unacknowledged` how many messages of ours nobody acknowledged.

    Of those the other app may have had the first ones, in order, and no other.
    """

    def __init__(self, chat_id: ChatId, reason: CloseReason, detail: str = "", *, unacknowledged: int = 0) -> None:
        lost = f", {unacknowledged} messages were not acknowledged" if unacknowledged else ""
        super().__init__(f"chat {chat_id.hex()[:8]} ended: {reason.name}{lost}" + (f" ({detail})" if detail else ""))
        self.chat_id = chat_id
        self.reason = reason
        self.unacknowledged = unacknowledged


class StoreError(HermesError):
    """An app's store cannot be used so; what is wrong with its file is a KeystoreError."""
