"""A call and its handler, whichever process the connection is in: served, woken, lost, and ended with its server."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

ENDING_S: Final = 1.0
"""For handlers that were cancelled."""


class Status:
    """gRPC's codes that this end says by itself."""

    OK: Final = 0
    UNKNOWN: Final = 2
    DEADLINE_EXCEEDED: Final = 4
    RESOURCE_EXHAUSTED: Final = 8
    UNIMPLEMENTED: Final = 12
    UNAVAILABLE: Final = 14


class StatusError(Exception):
    """Raised by a handler: how the call ends."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class HandledCall(ABC):
    """What a call is to its server, besides its messages. One reader and one writer at a time."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        """The peer left, or what it came over broke."""
        self.ended = False
        """This end is done with it."""
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    @abstractmethod
    def finish(self, code: int, text: str = "") -> None:
        """Tell the status, once."""

    @abstractmethod
    def reset(self) -> None:
        """Leave without a status, and with nothing that waits."""

    @abstractmethod
    def end(self) -> None:
        """It is over for its handler. Idempotent."""

    def lose(self) -> None:
        """The peer is gone: whoever serves it is told by a cancellation."""
        self.gone = True
        self.wake_reader()
        self.wake_writer()
        if self.task is None:  # it had not begun yet
            self.end()
        else:
            self.task.cancel()

    def wake_reader(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    def wake_writer(self) -> None:
        if self._writing is not None and not self._writing.done():
            self._writing.set_result(None)


C = TypeVar("C", bound=HandledCall)


async def serve_call(handler: Callable[[C], Awaitable[None]], call: C, on_defect: Callable[[Exception], None]) -> None:
    """Until its handler is over; how that ended is how the call ends."""
    try:
        await handler(call)
    except StatusError as error:
        call.finish(error.code, error.text)
    except asyncio.CancelledError:
        call.reset()  # nothing, where the call has ended or its peer is gone
        raise
    except Exception as error:  # noqa: BLE001 - a defect ends this call only, and is told
        on_defect(error)
        call.finish(Status.UNKNOWN, f"Unexpected {type(error).__name__}")
    else:
        call.finish(Status.OK)


async def end_calls(calls: Iterable[HandledCall]) -> None:
    """As their server stops: UNAVAILABLE, and their handlers are cancelled."""
    standing = list(calls)
    tasks = [call.task for call in standing if call.task is not None]
    for call in standing:
        call.finish(Status.UNAVAILABLE, "this server stops")
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=ENDING_S)
