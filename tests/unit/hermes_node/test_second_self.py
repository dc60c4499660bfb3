"""Two processes with one key that met: whoever has decided to end does so, whatever becomes of the other one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from unittest.mock import Mock

from hermes_core.mesh.messages import MembershipUpdate
from hermes_node.mesh.second_self import meet_second_self


class Ending:
    """A stream to another one that served as well, and whose process ends while this one waits."""

    def __init__(self) -> None:
        self._said: list[MembershipUpdate] = [MembershipUpdate(())]
        self.waiting = asyncio.Event()

    async def send(self, message: object) -> None: ...

    async def receive(self) -> MembershipUpdate | None:
        if self._said:
            return self._said.pop()
        self.waiting.set()
        await asyncio.Event().wait()
        return None


async def test_of_two_that_both_served_the_second_one_ends_where_the_first_one_is_gone_before_it() -> None:
    stream, listener = Ending(), Mock()
    meeting = asyncio.create_task(meet_second_self(stream, listener, Mock(), Mock(), serves=True))  # type: ignore[arg-type]
    await stream.waiting.wait()
    meeting.cancel()
    with suppress(asyncio.CancelledError):
        await meeting
    listener.second_self.assert_called_once_with("both served until now")
