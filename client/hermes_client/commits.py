"""What an app's chats want kept is committed, in groups and in order; what depends on it leaves only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hermes_client.errors import StoreError
from hermes_client.signal import Signal
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.endpoint.output import AppOutput
from hermes_core.errors import HermesError
from hermes_core.protocol.messages import ChatMessage


class CommitQueue:
    """Everything that comes while a commit runs is one commit after it: many chats share the disk's time.

    `commit` makes changes durable and wipes them; `release` sends; `fail` hears once what ended the queue.
    """

    def __init__(
        self,
        commit: Callable[[KeptChanges], Awaitable[None]],
        release: Callable[[list[ChatMessage]], None],
        fail: Callable[[HermesError], None],
    ) -> None:
        self._commit = commit
        self._release = release
        self._fail = fail
        self._changes = KeptChanges()
        self._sends: list[ChatMessage] = []
        self._taken = 0
        self._begun = 0
        self._durable = 0
        self._stream = 0
        self._task: asyncio.Task[None] | None = None
        self._failure: HermesError | None = None
        self._progress = Signal()

    def add(self, output: AppOutput) -> None:
        """An output of the machine: its sends leave once its changes, and all before, are durable."""
        if self._failure is not None:
            return
        if output.changes is not None:
            self._changes.add(output.changes)
            self._taken += 1
        if self._task is None and not self._changes:
            self._release(output.sends)
            return
        self._sends += output.sends
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="hermes-commits")

    def void_sends(self) -> None:
        """The stream is gone: what waits to be sent is void, what waits to be kept is not."""
        self._sends.clear()
        self._stream += 1

    async def wait_durable(self) -> None:
        """Until everything that was added so far is durable; raises what made that impossible."""
        number = self._taken
        await self._progress.wait_for(
            lambda: self._durable >= number or (self._failure is not None and not self._durable < number <= self._begun)
        )
        if self._durable < number and self._failure is not None:
            raise self._failure

    def stop(self, reason: HermesError) -> None:
        """Only the commit that has begun is made; whoever waits for another is told the reason."""
        if self._failure is None:
            self._failure = reason
            self._changes.wipe()
            self._changes = KeptChanges()
            self._sends.clear()
            self._progress.notify()

    async def _work(self) -> None:
        try:
            while self._changes or self._sends:
                changes, self._changes = self._changes, KeptChanges()
                sends, self._sends = self._sends, []
                number, stream = self._taken, self._stream
                self._begun = number
                if changes:
                    await self._commit(changes)
                self._durable = number
                if stream == self._stream:
                    self._release(sends)
                self._progress.notify()
        except Exception as error:  # noqa: BLE001 - nothing of this app can be kept any more, whatever it was
            self._failure = error if isinstance(error, HermesError) else StoreError(f"a defect: {type(error).__name__}")
            self._changes.wipe()
            self._begun = self._durable
            self._progress.notify()
            self._fail(self._failure)
        finally:
            self._task = None
