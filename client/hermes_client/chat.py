"""A chat as its app sees it: send, iterate, rekey, delete."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import field
from typing import Final, Protocol, Self, assert_never

from hermes_client.arguments import Content, take_content, take_timeout
from hermes_client.errors import ChatEndedError, StateLostError
from hermes_client.pulled import Pulled
from hermes_client.signal import Signal
from hermes_client.time_limit import time_limit
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import (
    AppEvent,
    ChatEnded,
    ChatFailed,
    ChatOffered,
    ChatReady,
    ChatRekeyed,
    ChatResumed,
    FrameRefused,
    HomeMoved,
    MessageReceived,
    MessagesAcked,
    PathChanged,
    PeerHeard,
    StoresDiffer,
)
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import CloseReason
from hermes_core.values import dataclass

REKEY_TIMEOUT_S: Final = 60.0
"""Longer than an app that is back from being away waits before it offers again."""

ORDERLY_ENDS = frozenset({CloseReason.DELETED, CloseReason.DELETED_BY_PEER})


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was sent: `seq` counts the sender's messages in this chat from 1."""

    seq: int
    content: bytes
    _acknowledge: Callable[[int], object] = field(default=bool, repr=False, compare=False)

    def ack(self) -> None:
        """Acknowledge this message and all before it: they are safe with the app, and never come again."""
        self._acknowledge(self.seq)


class ChatActions(Protocol):
    """What a chat asks of the client it belongs to."""

    @property
    def closed(self) -> bool: ...
    def check_open(self) -> None: ...
    def try_send(self, chat_id: ChatId, content: bytes) -> int | None: ...
    async def wait_kept(self) -> None: ...
    def acknowledge(self, chat_id: ChatId, seq: int) -> None: ...
    def rekey(self, chat_id: ChatId) -> None: ...
    def flush_acknowledgements(self) -> None: ...
    def withdraw_rekey(self, chat_id: ChatId) -> None: ...
    def delete(self, chat_id: ChatId) -> None: ...


class Chat:
    """One chat. Iterating yields each message exactly once, in order; asking for the next one acknowledges it to the sender.

    A message that was not acknowledged when its process died comes again in the next start, if there is a store. `ack()` of the
    message is for apps that make it safe elsewhere first; `messages()` never acknowledges by itself.

    The iteration ends when either app deleted the chat; any other end raises ChatEndedError from it.
    `up` says whether what is sent now reaches the other app at once (otherwise it waits for the path), `path_losses` how often
    that ceased, `resumes` how often the chat was resumed, or got another home, after its stream or its node had gone,
    `moves` how often it got another home.
    """

    def __init__(self, driver: ChatActions, chat_id: ChatId, peer: AppId) -> None:
        self.chat_id = chat_id
        self.peer = peer
        self.ready = False
        self.up = False
        self.epoch = 0
        self.resumes = 0
        self.moves = 0
        self.path_losses = 0
        self.last_sent = 0
        self.acknowledged = 0
        self.ended: CloseReason | None = None
        self.failure: ProtocolError | None = None
        self.refusals = 0
        self.changed = Signal()
        self.inbox: deque[Message] = deque()
        self.synced = True
        """False in a chat of a former start until the other app has said where it stands: `send` waits for that."""
        self.losses: deque[StateLostError] = deque()
        self._driver = driver
        self._rekeys = 0
        self._handed_over = 0

    @classmethod
    def restore(cls, driver: ChatActions, machine: AppChat) -> Self:
        """As a former start left it; its path is down."""
        chat = cls(driver, machine.chat_id, machine.peer)
        chat.synced = False
        chat.ready, chat.epoch = machine.handshake.active, machine.end_to_end.epoch
        chat.last_sent, chat.acknowledged = machine.transfer.outgoing.last_seq, machine.transfer.outgoing.acked
        return chat

    @property
    def unacknowledged(self) -> int:
        """Messages sent that the other app has not taken yet."""
        return self.last_sent - self.acknowledged

    async def send(self, content: Content, timeout_s: float | None = None) -> int:
        """Send at most 64 KiB; returns the message's seq. Waits while the window (256 messages, 4 MiB) is full.

        The content is copied. TypeError and ProtocolError (INVALID_FRAME: too long) change nothing; ChatEndedError and
        ClientClosedError say that nothing can be sent any more; CallTimeoutError that there was no room, and nothing was sent.
        A send that is cancelled may have been sent: `last_sent` says whether it was.
        """
        copied, timeout_s = take_content(content), take_timeout(timeout_s)
        async with time_limit(timeout_s, "sending a message"):
            while True:
                self._check_alive()
                try:
                    seq = self._driver.try_send(self.chat_id, copied)
                except ProtocolError:
                    self._check_alive()  # it ended for that
                    raise
                if seq is not None:
                    self.last_sent = seq
                    break
                await self._wait_progress()
        await self._driver.wait_kept()
        return seq

    async def drain(self, timeout_s: float | None = None) -> None:
        """Wait until the other app has taken everything sent so far; CallTimeoutError when that takes longer."""
        target = self.last_sent
        await self.wait(lambda: self.acknowledged >= target, timeout_s)

    async def rekey(self, timeout_s: float | None = REKEY_TIMEOUT_S) -> int:
        """Move the chat to its next epoch and return it. It waits for the path, for as long as `timeout_s` says.

        ProtocolError (REKEY_THROTTLED with `retry_after_ms` …) when it is refused, CallTimeoutError when it took too long.
        Then, and when this is cancelled, the wish is dropped; an offer that has left may still come through.
        """
        timeout_s = take_timeout(timeout_s)
        self._check_alive()
        before, refusals = self.epoch, self.refusals
        self._rekeys += 1
        try:
            self._driver.rekey(self.chat_id)
            await self.wait(lambda: self.epoch > before or self.refusals > refusals, timeout_s)
            if self.epoch == before and self.failure is not None:
                raise self.failure
        finally:
            self._rekeys -= 1
            if not self._rekeys:
                self._driver.withdraw_rekey(self.chat_id)
        return self.epoch

    async def delete(self) -> None:
        """End the chat for both apps and wipe its keys; harmless when it has ended already.

        It waits for nobody: the other app hears of it as soon as the home node does, after a reconnect if need be.
        """
        if self.ended is None:
            self._driver.check_open()
            self._acknowledge(self._handed_over)  # whoever ends a chat has taken what it was given
            self._driver.flush_acknowledgements()
            self._driver.delete(self.chat_id)
            await self._driver.wait_kept()

    async def wait_ended(self, timeout_s: float | None = None) -> CloseReason:
        """Wait for the end of the chat, whoever brings it about; CallTimeoutError when that takes longer."""
        async with time_limit(take_timeout(timeout_s), "waiting for the end of a chat"):
            await self.changed.wait_for(lambda: self.ended is not None or self._driver.closed)
        if self.ended is None:
            self._driver.check_open()
        return self.ended or CloseReason.DELETED

    async def wait_resumed(self, resumes: int) -> None:
        """Until it was resumed, or got another home, more often than so; or until it is over."""
        await self.changed.wait_for(lambda: self.resumes > resumes or self.ended is not None or self._driver.closed)

    async def wait(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait until `condition()` holds, for instance `lambda: chat.up`; ChatEndedError when the chat ends before.

        CallTimeoutError when it takes longer.
        """
        if not callable(condition):
            raise TypeError(f"condition is a function without arguments, not {type(condition).__name__}")
        async with time_limit(take_timeout(timeout_s), "waiting in a chat"):
            await self.changed.wait_for(lambda: condition() or self.ended is not None or self._driver.closed)
        if not condition():
            self._check_alive()

    def apply(self, event: AppEvent) -> None:  # noqa: C901 - one case for each event
        """What the chat machine reports of this chat (called by the driver)."""
        match event:
            case ChatReady():
                self.ready, self.epoch = True, max(self.epoch, 1)
            case ChatRekeyed():
                self.epoch = event.epoch
            case ChatResumed() | HomeMoved():
                self.resumes += 1
                self.moves += isinstance(event, HomeMoved)
            case PathChanged():
                self.up = event.up
                self.path_losses += not event.up
            case MessageReceived():
                self.inbox.append(Message(event.seq, event.content, self._acknowledge))
            case MessagesAcked():
                self.acknowledged = max(self.acknowledged, event.seq)
                self.last_sent = max(self.last_sent, event.seq)  # the other app may have had what our store has forgotten
            case ChatEnded():
                self.ended, self.up = event.reason, False
            case ChatFailed():
                self.failure = ProtocolError(event.code, event.detail, retry_after_ms=event.retry_after_ms)
                self.refusals += 1
            case PeerHeard():
                self.synced = True
            case StoresDiffer():
                self.losses.append(StateLostError(event))
            case ChatOffered() | FrameRefused():
                pass  # of no chat that has a handle; the driver keeps them
            case _:
                assert_never(event)
        self.changed.notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._acknowledge(self._handed_over)
        message = await self._next()
        if message is None:
            raise StopAsyncIteration
        return message

    def messages(self) -> AsyncIterator[Message]:
        """The same messages, each of which waits for its `ack()`: for apps that make several safe at once."""
        return Pulled(self._next)

    async def _next(self) -> Message | None:
        """The next message; None at an orderly end, ChatEndedError at any other and when messages of ours got lost with it."""
        await self.changed.wait_for(lambda: bool(self.inbox or self.losses) or self.ended is not None or self._driver.closed)
        if self.losses:
            raise self.losses.popleft()
        if self.inbox:
            message = self.inbox.popleft()
            self._handed_over = message.seq
            return message
        if self.ended not in ORDERLY_ENDS or (self.unacknowledged and self.ended is not CloseReason.DELETED):
            self._check_alive()
        return None

    def _acknowledge(self, seq: int) -> None:
        if seq and self.ended is None and not self._driver.closed:
            self._driver.acknowledge(self.chat_id, seq)

    def __repr__(self) -> str:
        return f"Chat({self.chat_id.hex()[:8]}, epoch={self.epoch}, {'up' if self.up else 'down'})"

    async def _wait_progress(self) -> None:
        seen = self.acknowledged, self.synced, self.epoch
        await self.wait(lambda: (self.acknowledged, self.synced, self.epoch) != seen or bool(self.losses))

    def _check_alive(self) -> None:
        if self.losses:
            raise self.losses.popleft()
        if self.ended is not None:
            broken = self.failure is not None and self.failure.code is ErrorCode.INTERNAL
            detail = self.failure.detail if broken and self.failure is not None else ""
            raise ChatEndedError(self.chat_id, self.ended, detail, unacknowledged=self.unacknowledged)
        self._driver.check_open()
