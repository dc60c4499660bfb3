"""What the chat machines report besides what they send: for logs and metrics of a node, for the owner of an app's chats."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId
from hermes_core.protocol.messages import CloseReason


@dataclass(frozen=True, slots=True)
class ChatOpened:
    """Both sides of a new chat are confirmed; `seconds` since its offer came in."""

    chat_id: ChatId
    scope: ChannelKind
    """TIELINE when another node takes part, LEG when both apps are at home here."""
    seconds: float
    offered_here: bool = True
    """The app that offered it is at home on this node."""


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """An offer or answer came to nothing; `rekey` False: no chat came of it. `offered_here` as in ChatOpened."""

    chat_id: ChatId
    code: ErrorCode
    rekey: bool
    offered_here: bool = True


@dataclass(frozen=True, slots=True)
class ChannelRekeyed:
    """One side of a chat uses a new epoch."""

    chat_id: ChatId
    kind: ChannelKind
    epoch: int


@dataclass(frozen=True, slots=True)
class SideResumed:
    """`skipped`: positions passed over, both directions together; they were reserved and may have been used before."""

    chat_id: ChatId
    kind: ChannelKind
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class ResumeRefused:
    chat_id: ChatId
    kind: ChannelKind | None
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class ChatQuarantined:
    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class RekeyRequired:
    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class ChatErased:
    """A chat ended here: its keys are wiped, its record is deleted. `was_open` False: it never came to be."""

    chat_id: ChatId
    reason: CloseReason
    was_open: bool


@dataclass(frozen=True, slots=True)
class NoticeDelivered:
    """The receiver of a `Closed` acknowledged it."""

    chat_id: ChatId
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """What an outsider sent was answered with an error; `kind` says on which kind of stream it came."""

    chat_id: ChatId | None
    kind: ChannelKind
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """An app proved who it is on a new stream."""

    app_id: AppId


@dataclass(frozen=True, slots=True)
class SessionReplaced:
    """An app opened a newer stream; the older one ends."""

    app_id: AppId


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """A stream ended before anybody had proved anything on it."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """An app's stream is gone. `too_slow`: it did not read what was sent to it."""

    app_id: AppId
    too_slow: bool


@dataclass(frozen=True, slots=True)
class BatchRefused:
    """A batch that could not be read. A node's stream ends with it (`app_id` None), an app's when there were too many."""

    app_id: AppId | None
    node_id: NodeId | None
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """A chat has another hop here: an app's leg, or the tieline to its new home. `arrived` False: it left for another node."""

    chat_id: ChatId
    kind: ChannelKind
    arrived: bool


ChatEvent = (
    ChatOpened
    | ChatMoved
    | HandshakeFailed
    | ChannelRekeyed
    | SideResumed
    | ResumeRefused
    | ChatQuarantined
    | RekeyRequired
    | ChatErased
    | NoticeDelivered
    | MessageRefused
)
SessionEvent = SessionOpened | SessionReplaced | SessionRefused | SessionEnded | BatchRefused
NodeEvent = ChatEvent | SessionEvent
