"""What the chat machines report besides what they send: for logs and metrics of a node, for the owner of an app's chats."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.chat.messages import CloseReason
from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChannelKind, ChatId


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


NodeEvent = (
    ChatOpened
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


@dataclass(frozen=True, slots=True)
class ChatOffered:
    """Another app wants to chat: answer with accept() or reject()."""

    chat_id: ChatId
    app_id: AppId


@dataclass(frozen=True, slots=True)
class ChatReady:
    """Keys are agreed and confirmed; send() works, and what is sent reaches the other app."""

    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class ChatRekeyed:
    """The end-to-end channel uses this epoch now."""

    chat_id: ChatId
    epoch: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One message, exactly once and in order; acknowledge() it when it is safe."""

    chat_id: ChatId
    seq: int
    content: bytes


@dataclass(frozen=True, slots=True)
class MessagesAcked:
    """The other app acknowledged everything up to `seq`."""

    chat_id: ChatId
    seq: int


@dataclass(frozen=True, slots=True)
class PathChanged:
    """Whether what is sent now reaches the other app at once; otherwise it waits here."""

    chat_id: ChatId
    up: bool


@dataclass(frozen=True, slots=True)
class ChatResumed:
    """The leg goes on after a reconnect or a restart of the node."""

    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class ChatEnded:
    """The chat is over and its keys are wiped; always the last event of a chat."""

    chat_id: ChatId
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class ChatFailed:
    """Something this app asked for was refused: a start (ChatEnded follows) or a rekey (the chat goes on)."""

    chat_id: ChatId | None
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """Something that came in was dropped; nothing changed."""

    chat_id: ChatId | None
    code: ErrorCode


AppEvent = (
    ChatOffered
    | ChatReady
    | ChatRekeyed
    | MessageReceived
    | MessagesAcked
    | PathChanged
    | ChatResumed
    | ChatEnded
    | ChatFailed
    | FrameRefused
)
