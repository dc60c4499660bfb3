"""What a contract case is made of: a world to open streams in, notes of what each side saw, and the case itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hermes_node.streams.transport import StreamHandler
from hermes_wire.byte_stream import ByteStream, Connection, DialledStream, StreamEndedError

CHUNK: Final = b"c" * 64 * 1024
MAX_CHUNKS: Final = 1024
"""A writer that still goes on after so many unread chunks (64 MiB) is not held back at all."""

BLOCKED_S: Final = 0.5
"""A call that did not return for so long waits for the other side. Real time: nothing but a wait can show that."""


class World(Protocol):
    """One server and one client; `notes` belong to the run."""

    notes: Notes

    async def serve(self, handlers: dict[str, StreamHandler]) -> None: ...

    async def serve_apart(self) -> None:
        """In a process of its own, which serves `apart.HANDLERS` and can be killed."""
        ...

    async def dial_apart(self) -> None:
        """The same for the client: a process that runs `apart.dial`."""
        ...

    def connect(self) -> Connection: ...

    async def settle(self) -> None:
        """Until what was written over connections of this world has arrived at its machine, read or not."""
        ...

    async def stop(self, grace_s: float) -> None: ...

    async def kill(self) -> None:
        """The process that is apart, with SIGKILL."""
        ...


class Notes:
    """What each side saw, in its order. Nothing is said of the order between sides: it is the network's."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}

    def add(self, who: str, line: str) -> None:
        self.lines.setdefault(who, []).append(line)

    async def read(self, who: str, stream: ByteStream, *, coded: bool = True) -> None:
        """`coded`: with the status that it ended with, where it does not depend on who is faster."""
        await self._note(who, "read", stream.read(), coded=coded)

    async def write(self, who: str, stream: ByteStream, data: bytes) -> None:
        await self._note(who, "write", stream.write(data))

    async def write_over(self, who: str, writer: asyncio.Task[None]) -> None:
        """That a write of `fill` came back, where it depends on who is faster whether it was taken."""
        await asyncio.wait({writer})
        if self.lines[who][-1] in {"write taken", "write ended CANCELLED"}:
            self.lines[who][-1] = "write over"

    async def done_writing(self, who: str, stream: DialledStream) -> None:
        await self._note(who, "done_writing", stream.done_writing())

    async def blocked(self, who: str, what: str, task: asyncio.Task[Any]) -> None:
        """That it waits, or that it does not."""
        await asyncio.wait({task}, timeout=BLOCKED_S)
        self.add(who, f"{what} returned" if task.done() else f"{what} waits")

    async def fill(self, who: str, stream: ByteStream, data: bytes = CHUNK) -> tuple[asyncio.Task[None], int]:
        """Write until a write waits for the reader; that write (it notes its end), and how many were written with it."""
        for count in range(1, MAX_CHUNKS):
            task = asyncio.create_task(self.write(who, stream, data))
            await asyncio.wait({task}, timeout=BLOCKED_S)
            if not task.done():
                self.lines[who] = [line for line in self.lines.get(who, []) if line != "write taken"]
                self.add(who, "write waits")
                return task, count
        raise AssertionError(f"{who}: nothing holds the writer back")

    async def _note(self, who: str, what: str, call: Coroutine[Any, Any, bytes | None], *, coded: bool = True) -> None:
        try:
            result = await call
        except StreamEndedError as error:
            self.add(who, f"{what} ended{_code_of(error) if coded else ''}")
        except asyncio.CancelledError:
            if is_asked_to_end():
                self.add(who, f"{what} cancelled")
                raise
            self.add(who, f"{what} CancelledError that nobody asked for")
        else:
            self.add(who, f"{what} {_short(result)}" if what == "read" else f"{what} taken")


def is_asked_to_end() -> bool:
    """Whether somebody cancelled the running task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _code_of(error: StreamEndedError) -> str:
    """The status, where there is one; the rest of the text is gRPC's own."""
    code, colon, _ = str(error).partition(": ")
    return f" {code}" if colon else ""


def _short(data: bytes | None) -> str:
    if data is None:
        return "None"
    return data.decode("ascii") if len(data) < 100 else "much"


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def until(condition: Callable[[], bool]) -> None:
    """Poll: the case's deadline is the test's."""
    while not condition():  # noqa: ASYNC110 - conditions are of notes and of tasks, and of both worlds
        await asyncio.sleep(0.005)


Script = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    script: Script
    expected: dict[str, list[str]]

    @property
    def name(self) -> str:
        return self.script.__name__


CASES: list[Case] = []


def case(**expected: list[str]) -> Callable[[Script], Script]:
    """What each side must note, in the real world and in the simulated one."""

    def register(script: Script) -> Script:
        CASES.append(Case(script, expected))
        return script

    return register
