"""A chat as its app sees it: send, iterate, rekey, delete."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, assert_never

from hermes_client.errors import ChatEndedError, ClientClosedError
from hermes_client.signal import Signal
from hermes_core.endpoint.events import (
    AppEvent,
    ChatEnded,
    ChatFailed,
    ChatOffered,
    ChatReady,
    ChatRekeyed,
    ChatResumed,
    FrameRefused,
    MessageReceived,
    MessagesAcked,
    PathChanged,
)
from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import CloseReason

ORDERLY_ENDS = frozenset({CloseReason.DELETED, CloseReason.DELETED_BY_PEER})


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was sent: `seq` counts the sender's messages in this chat from 1."""

    seq: int
    content: bytes


class ChatActions(Protocol):
    """What a chat asks of the client it belongs to."""

    @property
    def closed(self) -> bool: ...
    def try_send(self, chat_id: ChatId, content: bytes) -> int | None: ...
    def acknowledge(self, chat_id: ChatId, seq: int) -> None: ...
    def rekey(self, chat_id: ChatId) -> None: ...
    def delete(self, chat_id: ChatId) -> None: ...


class Chat:
    """One chat. Iterating yields each message exactly once, in order; taking one acknowledges it to the sender.

    The iteration ends when either app deleted the chat; any other end raises ChatEndedError from it.
    `up` says whether what is sent now reaches the other app at once (otherwise it waits for the path), `path_losses` how often
    that ceased, `resumes` how often the chat was resumed after its stream or its node had gone.
    """

    def __init__(self, driver: ChatActions, chat_id: ChatId, peer: AppId) -> None:
        self.chat_id = chat_id
        self.peer = peer
        self.ready = False
        self.up = False
        self.epoch = 0
        self.resumes = 0
        self.path_losses = 0
        self.last_sent = 0
        self.acknowledged = 0
        self.ended: CloseReason | None = None
        self.failure: ProtocolError | None = None
        self.changed = Signal()
        self.inbox: deque[Message] = deque()
        self._driver = driver

    @property
    def unacknowledged(self) -> int:
        """Messages sent that the other app has not taken yet."""
        return self.last_sent - self.acknowledged

    async def send(self, content: bytes) -> int:
        """Send at most 64 KiB; returns the message's seq. Waits while the window (256 messages, 4 MiB) is full."""
        while True:
            self._check_alive()
            seq = self._driver.try_send(self.chat_id, content)
            if seq is not None:
                self.last_sent = seq
                return seq
            await self._wait_progress()

    async def drain(self) -> None:
        """Wait until the other app has taken everything sent so far."""
        target = self.last_sent
        await self.wait(lambda: self.acknowledged >= target)

    async def rekey(self) -> int:
        """Move the chat to its next epoch and return it; ProtocolError (REKEY_THROTTLED …) when the node refuses."""
        self._check_alive()
        self.failure = None
        before = self.epoch
        self._driver.rekey(self.chat_id)
        await self.wait(lambda: self.epoch > before or self.failure is not None)
        if self.epoch == before and self.failure is not None:
            raise self.failure
        return self.epoch

    async def delete(self) -> None:
        """End the chat for both apps and wipe its keys; harmless when it has ended already."""
        if self.ended is None:
            self._driver.delete(self.chat_id)
            await self.wait_ended()

    async def wait_ended(self) -> CloseReason:
        """Wait for the end of the chat, whoever brings it about."""
        await self.changed.wait_for(lambda: self.ended is not None or self._driver.closed)
        if self.ended is None:
            raise ClientClosedError("the client was closed")
        return self.ended

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` holds, for instance `lambda: chat.up`; ChatEndedError when the chat ends before."""
        await self.changed.wait_for(lambda: condition() or self.ended is not None or self._driver.closed)
        if not condition():
            self._check_alive()

    def apply(self, event: AppEvent) -> None:
        """What the chat machine reports of this chat (called by the driver)."""
        match event:
            case ChatReady():
                self.ready, self.epoch = True, max(self.epoch, 1)
            case ChatRekeyed():
                self.epoch = event.epoch
            case ChatResumed():
                self.resumes += 1
            case PathChanged():
                self.up = event.up
                self.path_losses += not event.up
            case MessageReceived():
                self.inbox.append(Message(event.seq, event.content))
            case MessagesAcked():
                self.acknowledged = max(self.acknowledged, event.seq)
            case ChatEnded():
                self.ended, self.up = event.reason, False
            case ChatFailed():
                self.failure = ProtocolError(event.code, event.detail)
            case ChatOffered() | FrameRefused():
                pass  # of no chat that has a handle; the driver keeps them
            case _:
                assert_never(event)
        self.changed.notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        await self.changed.wait_for(lambda: bool(self.inbox) or self.ended is not None or self._driver.closed)
        if self.inbox:
            message = self.inbox.popleft()
            self._driver.acknowledge(self.chat_id, message.seq)
            return message
        if self.ended in ORDERLY_ENDS:
            raise StopAsyncIteration
        self._check_alive()
        raise StopAsyncIteration

    def __repr__(self) -> str:
        return f"Chat({self.chat_id.hex()[:8]}, epoch={self.epoch}, {'up' if self.up else 'down'})"

    async def _wait_progress(self) -> None:
        seen = self.acknowledged
        await self.wait(lambda: self.acknowledged > seen)

    def _check_alive(self) -> None:
        if self.ended is not None:
            raise ChatEndedError(self.chat_id, self.ended)
        if self._driver.closed:
            raise ClientClosedError("the client was closed")
