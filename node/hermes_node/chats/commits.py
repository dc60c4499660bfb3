"""The commits of passes: one that its pass waits for, and at most one beside the passes that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hermes_core.relay.output import NodeOutput


class OutputStore(Protocol):
    """Makes outputs durable, one after the other. `owes_commit`: something else must not leave before the next commit."""

    @property
    def owes_commit(self) -> bool: ...
    async def commit(self, output: NodeOutput) -> None: ...


class PassCommits:
    """The owner of what is being made durable. Commits begin and end in the order of their outputs.

    Fail-stop: once one has failed, what the disk holds is unknown, and nothing that depends on it may leave.
    """

    def __init__(self, store: OutputStore, on_failure: Callable[[Exception], None]) -> None:
        self._store = store
        self._on_failure = on_failure
        self._early: asyncio.Task[None] | None = None
        self._early_number = 0
        self._failed = False

    @property
    def busy(self) -> bool:
        """An early output is on its way to the disk."""
        return self._early is not None

    def concern(self, output: NodeOutput) -> bool:
        """Whether there is anything to do for it."""
        return self._early is not None or output.needs_commit or self._store.owes_commit

    async def settle(self, output: NodeOutput) -> bool:
        """Commit it, if there is anything to commit. True once it may be acted on; False when a commit failed."""
        needed = output.needs_commit or self._store.owes_commit
        if self._early is not None and (needed or output.waits_for >= self._early_number):
            await self.end_early()
        owed = self._store.owes_commit  # the one that ended may have been the one that was owed
        if (output.needs_commit or owed) and not self._failed:
            if output.early and not owed:
                self._early_number = output.number
                self._early = asyncio.create_task(self._commit_early(output))
            else:
                await self._commit(output)
        return not self._failed

    async def end_early(self) -> None:
        """Return when no commit is under way beside the passes; being cancelled leaves it alone."""
        if self._early is not None:
            await asyncio.wait([self._early])

    async def _commit_early(self, output: NodeOutput) -> None:
        await self._commit(output)
        self._early = None

    async def _commit(self, output: NodeOutput) -> None:
        try:
            await self._store.commit(output)
        except Exception as error:  # noqa: BLE001 - whatever it was: uncommitted
            self._failed = True
            self._on_failure(error)
