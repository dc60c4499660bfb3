"""What the client library raises besides ProtocolError."""

from __future__ import annotations

from hermes_core.endpoint.events import Missing, StoresDiffer
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
        lost = f", messages that were not acknowledged: {unacknowledged}" if unacknowledged else ""
        super().__init__(f"chat {chat_id.hex()[:8]} ended: {reason.name}{lost}" + (f" ({detail})" if detail else ""))
        self.chat_id = chat_id
        self.reason = reason
        self.unacknowledged = unacknowledged


class StateLostError(HermesError):
    """The store of one of the two apps is an older copy of itself: it has forgotten messages. The chat goes on after them.

    `ours`: this app's store. `sent` and `received` are the ranges of seq, of this app's messages and of the other's, that one
    app has had and the other has forgotten: if it is ours, messages that we sent, or took, before the store was put back.
    Raised once, by the next `send` or by the iteration, which can begin anew.
    """

    def __init__(self, event: StoresDiffer) -> None:
        whose = "this app" if event.ours else "the other app"
        lost = f"{_describe(event.sent)} sent by this app, {_describe(event.received)} sent by the other"
        super().__init__(f"chat {event.chat_id.hex()[:8]}: {whose} came back with an older store; forgotten: {lost}")
        self.chat_id = event.chat_id
        self.ours = event.ours
        self.sent = range(event.sent.first, event.sent.last + 1)
        self.received = range(event.received.first, event.received.last + 1)


def _describe(missing: Missing) -> str:
    return f"messages {missing.first} to {missing.last}" if len(missing) else "no message"


class StoreError(HermesError):
    """An app's store cannot be used so; what is wrong with its file is a KeystoreError."""
