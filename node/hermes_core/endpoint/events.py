"""What an app's chats report to their owner."""

from __future__ import annotations

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import CloseReason
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class ChatOffered:
    """Another app wants to chat: answer with accept() or reject()."""

    chat_id: ChatId
    app_id: AppId


@dataclass(frozen=True, slots=True)
class ChatReady:
    """Keys are agreed and confirmed; send() works. Whether the path is up already, PathChanged says."""

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
class PeerHeard:
    """The other app has said where it stands: in a chat of a former start, something new can be sent from here on."""

    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class Missing:
    """Messages from `first` to `last`, both included; none when `last` is below."""

    first: int
    last: int

    def __len__(self) -> int:
        return max(0, self.last - self.first + 1)


@dataclass(frozen=True, slots=True)
class StoresDiffer:
    """A store was put back. `ours`: this app's; otherwise the other's.

    `sent`: messages of this app, `received`: those of the other, that one of the two has had and the other does not know of:
    an app whose store was put back has forgotten them. The chat goes on with the next ones, under new keys.
    """

    chat_id: ChatId
    ours: bool
    sent: Missing
    received: Missing


@dataclass(frozen=True, slots=True)
class PathChanged:
    """Whether what is sent now reaches the other app at once; otherwise it waits here. A new chat's path is down."""

    chat_id: ChatId
    up: bool


@dataclass(frozen=True, slots=True)
class ChatResumed:
    """The leg goes on after a reconnect or a restart of the node."""

    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class HomeMoved:
    """The chat is at home on the node that is connected now; `number` counts its moves."""

    chat_id: ChatId
    number: int


@dataclass(frozen=True, slots=True)
class ChatEnded:
    """The chat is over and its keys are wiped; always the last event of a chat."""

    chat_id: ChatId
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class ChatFailed:
    """Something this app asked for was refused: a start (ChatEnded follows) or a rekey (the chat goes on).

    `retry_after_ms`: when asking again makes sense; 0: nobody said.
    """

    chat_id: ChatId | None
    code: ErrorCode
    detail: str
    retry_after_ms: int = 0


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
    | PeerHeard
    | StoresDiffer
    | PathChanged
    | ChatResumed
    | HomeMoved
    | ChatEnded
    | ChatFailed
    | FrameRefused
)
