"""Programs in pseudo terminals of their own: what they show is kept line by line, lines are typed, SIGKILL is sent."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

ROWS, COLUMNS = 50, 200
DEADLINE_S = 60.0
LOOK_S = 0.05

T = TypeVar("T")


class Terminal:
    """`async with`: the program is killed at the end if it runs then. `lines`: what was shown, typed lines among it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._on_line = on_line
        self._rest = b""
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of tests in the background, and of whatever they start
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._main, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            self._command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True, env=self._environment
        )
        os.close(inner)
        os.set_blocking(self._main, False)
        asyncio.get_running_loop().add_reader(self._main, self._read)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.kill()
        os.close(self._main)

    @property
    def text(self) -> str:
        """Everything shown, a line that has not ended as well."""
        return "\n".join([*self.lines, self._rest.decode(errors="replace")])

    def type(self, *lines: str) -> None:
        for line in lines:
            os.write(self._main, line.encode() + b"\n")

    async def shown(self, *texts: str, after: int = 0) -> str:
        """The first line with one of these texts, from line `after` on, as soon as there is one."""

        def look() -> str:
            return next((line for line in self.lines[after:] if any(text in line for text in texts)), "")

        return await self._wait(look, " or ".join(texts))

    async def asked(self, text: str) -> None:
        """Until the line that has not ended has this text."""
        await self._wait(lambda: text in self._rest.decode(errors="replace"), text)

    async def rests(self) -> None:
        """Until the program waits: it sleeps, and used no CPU between two looks."""
        async with asyncio.timeout(DEADLINE_S):
            before = None
            while (now := self._look_at_process()) != before or now[0] != "S":
                before = now
                await asyncio.sleep(LOOK_S)

    def _look_at_process(self) -> tuple[str, str, str]:
        """(state, ticks in its own code, in the kernel's), as proc(5) says."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[11], fields[12]

    async def ended(self) -> int:
        """Its exit code; everything that it said is in `lines`."""
        code = await asyncio.to_thread(self.process.wait, DEADLINE_S)
        self._read()
        return code

    async def kill(self) -> None:
        """SIGKILL, and everything that was said before is in `lines`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        await self.ended()
        asyncio.get_running_loop().remove_reader(self._main)

    async def _wait(self, look: Callable[[], T], what: str) -> T:
        async with self._changed:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    while not (found := look()):
                        await self._changed.wait()
            except TimeoutError:
                raise AssertionError(f"{what!r} was never shown; this was:\n{self.text}") from None
        return found

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nothing more now; or the program has ended, and with it its terminal
            while more := os.read(self._main, 65_536):
                *lines, self._rest = (self._rest + more).split(b"\n")
                for line in lines:
                    self.lines.append(line.decode(errors="replace").rstrip("\r"))
                    self._on_line(self.lines[-1])
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
