"""Questions of an app to the directory, on one stream: who waits for the answer, and what is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hermes_client.errors import StreamLostError
from hermes_core.ids import AppId
from hermes_core.protocol.session import AppFound, FindApp


class LookUps:
    """Owns whoever waits for an answer of this stream. `ask` sends a question."""

    def __init__(self, ask: Callable[[FindApp], None]) -> None:
        self._ask = ask
        self._waiting: dict[AppId, list[asyncio.Future[AppFound]]] = {}
        self._again: asyncio.TimerHandle | None = None

    async def find(self, app_id: AppId) -> AppFound:
        """Ask, and wait for the answer; raises what `close` is given."""
        future: asyncio.Future[AppFound] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(app_id, [])
        waiting.append(future)
        self._ask(FindApp(app_id))
        try:
            return await future
        finally:
            if future in waiting:
                waiting.remove(future)
            if not waiting and self._waiting.get(app_id) is waiting:
                del self._waiting[app_id]

    def answer(self, found: AppFound) -> None:
        for future in self._waiting.pop(found.app_id, []):
            if not future.done():
                future.set_result(found)

    def postpone(self, wait_s: float) -> None:
        """A question was refused for now; which one is not said. All are asked once more, whoever else is refused meanwhile."""
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(wait_s, self._ask_again)

    def _ask_again(self) -> None:
        self._again = None
        for app_id in self._waiting:
            self._ask(FindApp(app_id))

    def close(self, error: StreamLostError) -> None:
        """The stream has ended: nobody is answered any more."""
        if self._again is not None:
            self._again.cancel()
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
        self._waiting.clear()
