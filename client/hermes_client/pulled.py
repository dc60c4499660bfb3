"""An async iterator whose `anext` can be cancelled, and asked again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Pulled(AsyncIterator[T]):
    """Asks for each item when it is wanted; None is the end.

    An async generator is over for good once an `anext` was cancelled, by a time limit for instance, or raised: whoever asks it
    again is told that nothing comes any more.
    """

    def __init__(self, ask: Callable[[], Awaitable[T | None]]) -> None:
        self._ask = ask

    async def __anext__(self) -> T:
        item = await self._ask()
        if item is None:
            raise StopAsyncIteration
        return item
