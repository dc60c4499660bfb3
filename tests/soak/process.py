"""An app's process as the soak holds it: started, killed, stopped, told what to do, and its file of events read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hermes_client.signal import Signal
from tests.soak.app import AppOptions

END_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class ChatState:
    """A chat as its app has it: seqs of what it said last and of what is acknowledged; `synced`: the other end was heard."""

    sent: int
    acknowledged: int
    up: bool
    epoch: int
    synced: bool


class AppProcess:
    """`app_id`, `home`, `chats` and `connections` as the process told last; `changed` after everything it tells."""

    def __init__(self, options: AppOptions) -> None:
        self.name = options.name
        self.folder = Path(options.folder)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0
        self._torn = b""
        self.life = 0
        self.app_id = ""
        self.home = ""
        self.connected = False
        self.connections = 0
        self.open = False
        self.chats: dict[str, str] = {}
        """Live chats, and the other app of each."""
        self.state_number = 0
        self.states: dict[str, ChatState] = {}
        self.changed = Signal()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start(self) -> None:
        self.life += 1
        self.store.mkdir(parents=True, exist_ok=True)
        options = replace(self._options, life=self.life)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an app that is installed is compiled: a start is measured, not that
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.app", options.to_json()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def command(self, *words: object) -> None:
        """Harmless when the process is gone."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(words).encode() + b"\n")
                self._process.stdin.flush()

    async def kill(self) -> int:
        """SIGKILL, and wait; the exit code."""
        assert self._process is not None
        self._process.kill()
        return await self._reap()

    def send_signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)

    async def quit(self) -> int | None:
        """Let it close its client; killed when that takes too long. None: it was not running."""
        if self._process is None:
            return None
        self.command("quit")
        try:
            return await self._reap()
        except subprocess.TimeoutExpired:
            return await self.kill()

    def end_now(self) -> None:
        """Whatever happens: nothing is left of it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def crashed(self) -> int | None:
        """The exit code of a process that ended by itself."""
        return None if self._process is None else self._process.poll()

    async def _reap(self) -> int:
        process = self._process
        assert process is not None
        code = await asyncio.to_thread(process.wait, END_TIMEOUT_S)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self._process, self.open, self.connected = None, False, False
        return code

    def copy_store(self, to: Path) -> None:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.store, to)

    def put_back(self, copy: Path) -> None:
        shutil.rmtree(self.store)
        shutil.copytree(copy, self.store)

    def read_events(self) -> list[list[Any]]:
        """What was written since the last call: [time, life, what, …]."""
        path = self.folder / "events"
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        lines = (self._torn + data).split(b"\n")
        self._torn = lines.pop()
        events = [json.loads(line) for line in lines]
        for event in events:
            self._note(event)
        if events:
            self.changed.notify()
        return events

    def _note(self, event: list[Any]) -> None:
        match event[1:]:
            case [life, *_] if life != self.life:
                return  # of a process that is gone
            case [_, "open", app_id, _]:
                self.app_id, self.open, self.chats = app_id, True, {}
            case [_, "home" | "away" as what, home, connections, _]:
                self.home, self.connected, self.connections = home, what == "home", connections
            case [_, "state", number, _, _, chats]:
                self.state_number = number
                self.states = {chat: ChatState(*state) for chat, *state in chats}
            case [_, "chat", chat, peer]:
                self.chats[chat] = peer
            case [_, "ended", chat, *_]:
                self.chats.pop(chat, None)


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has taken effect."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
