"""An app of the soak, in a process of its own: keeps its chats talking, and writes down what it says, hears and notices.

`python -m tests.soak.app OPTIONS_JSON`. Commands come as JSON lines on the standard input. What happens is appended to a file,
line by line, each before the app does what follows from it: the file is what an app that was killed still knows.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hermes_client import AppStore, Chat, ChatEndedError, ChatOffer, ClientClosedError, ClientTls, HermesClient, StateLostError
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import HermesError, ProtocolError
from hermes_core.ids import AppId
from tests.soak.breaks import break_delivery
from tests.soak.content import Item, build_content, read_content

PASSPHRASE = b"of a soak"
CHEAP = Argon2Params(8192, 1, 1)
START_TIMEOUT_S = 20.0
ACCEPT_TIMEOUT_S = 60.0
REKEY_TIMEOUT_S = 30.0
SOON_S = 15.0  # what ends for that ends within the run
PR_SET_PDEATHSIG = 1
BURST_SHARE = 0.03
BURST = (5, 40)


@dataclass(frozen=True, slots=True)
class AppOptions:
    """`life`: how often this app's process was started; `rate`: sendings a second in each direction of a chat."""

    name: str
    folder: str
    addresses: list[str]
    ca_file: str
    life: int
    patience_s: float
    rate: float
    broken: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def role_of(own: str, peer: str) -> str:
    """The same after every start, whoever began the chat."""
    return "a" if own < peer else "b"


class SoakApp:
    def __init__(self, options: AppOptions) -> None:
        self._options = options
        self._file = os.open(Path(options.folder) / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        store = AppStore(Path(options.folder) / "store" / "app.db", PASSPHRASE, argon2=CHEAP)
        self._client = HermesClient(
            options.addresses,
            tls=ClientTls(ca_file=Path(options.ca_file)),
            params=AppParams(home_patience_s=options.patience_s, no_common_epoch_s=SOON_S, ready_timeout_s=SOON_S),
            connect_timeout_s=None,
            direct=False,  # through the proxy's doors alone
            store=store,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._chats: dict[str, Chat] = {}
        self._stopping = asyncio.Event()
        self._own = ""
        self._quitting = False

    def tell(self, what: str, *values: object) -> None:
        """One line, whole: time (s, of the machine's monotonic clock), life, what."""
        line = json.dumps([round(time.monotonic(), 4), self._options.life, what, *values], separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")

    async def run(self) -> None:
        waiting = asyncio.create_task(self._tell_patience())
        async with self._client as client:
            await waiting
            self._own = str(client.app_id)
            kept = list(client.chats.values())
            self.tell("open", self._own, [chat.chat_id.hex() for chat in kept])
            for chat in kept:
                self._run_chat(chat)
            self._spawn(self._offers())
            self._spawn(self._watch_home())
            await self._obey()
        self.tell("closed")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ClientClosedError as error:
            if not self._quitting:
                self.tell("client-closed", repr(error))
        except Exception as defect:  # noqa: BLE001 - told, and counted as a broken promise
            self.tell("defect", repr(defect), "".join(traceback.format_tb(defect.__traceback__)[-3:]))

    async def _obey(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command, *values = json.loads(line)
            chat = self._chats.get(values[0]) if values else None
            if command == "start":
                self._spawn(self._start(values[0], AppId(values[1])))
            elif command == "rekey" and chat is not None:
                self._spawn(self._rekey(chat))
            elif command == "delete" and chat is not None:
                self._spawn(self._delete(chat))
            elif command == "cut":
                self._client.reconnect()
            elif command == "state":
                self._tell_state(values[0])
            elif command == "stop":
                self._stopping.set()
            elif command == "quit":
                self._quitting = True
                return

    def _tell_state(self, number: object) -> None:
        chats = [
            [name, chat.last_sent, chat.acknowledged, chat.up, chat.epoch, chat.synced] for name, chat in self._chats.items()
        ]
        self.tell("state", number, str(self._client.home), self._client.connected, chats)

    # chats

    async def _start(self, slot: int, peer: AppId) -> None:
        while not self._stopping.is_set():
            try:
                chat = await self._client.start_chat(peer, START_TIMEOUT_S)
            except ProtocolError as error:
                self.tell("refused", slot, error.code.name)
            except ChatEndedError as error:
                self.tell("refused", slot, error.reason.name)
            else:
                self.tell("opened", slot, chat.chat_id.hex())
                self._run_chat(chat)
                return
            await self._pause(random.uniform(0.3, 1.5))

    async def _offers(self) -> None:
        async for offer in self._client.offers():
            self._spawn(self._take(offer))

    async def _take(self, offer: ChatOffer) -> None:
        try:
            chat = await offer.accept(ACCEPT_TIMEOUT_S)
        except (ProtocolError, ChatEndedError) as error:
            self.tell("not-accepted", error.code.name if isinstance(error, ProtocolError) else error.reason.name)
        else:
            self._run_chat(chat)

    def _run_chat(self, chat: Chat) -> None:
        name = chat.chat_id.hex()
        if name not in self._chats:
            self._chats[name] = chat
            self.tell("chat", name, str(chat.peer))
            self._spawn(self._receive(chat, name))
            self._spawn(self._send(chat, name))
            self._spawn(self._watch(chat, name))

    async def _send(self, chat: Chat, name: str) -> None:
        try:
            await chat.wait(lambda: chat.ready)  # a kept one may have been killed in the middle of its handshake
        except ChatEndedError:
            return
        role, number = role_of(self._own, str(chat.peer)), 0
        draws = random.Random(f"{name} {role} {self._options.life}")
        while not self._stopping.is_set():
            left = draws.randint(*BURST) if draws.random() < BURST_SHARE else 1
            while left:
                item = Item(self._options.life, number + 1)
                try:
                    seq = await chat.send(build_content(name, role, item))
                except StateLostError as error:
                    self._tell_loss(name, error)
                    continue
                except ChatEndedError:
                    return
                number, left = number + 1, left - 1
                self.tell("sent", name, item.number, seq)
            await self._pause(draws.expovariate(self._options.rate))

    async def _receive(self, chat: Chat, name: str) -> None:
        theirs = role_of(str(chat.peer), self._own)
        while True:
            try:
                async for message in break_delivery(chat, self._options.broken):
                    item = read_content(name, theirs, message.content)
                    self.tell("got", name, message.seq, *((item.life, item.number) if item else (0, 0)))
            except StateLostError as error:
                self._tell_loss(name, error)
                continue
            except ChatEndedError:
                pass
            break
        if chat.ended is not None:
            self.tell("ended", name, chat.ended.name, chat.last_sent, chat.acknowledged)
        self._chats.pop(name, None)

    def _tell_loss(self, name: str, error: StateLostError) -> None:
        ranges = [[part.start, part.stop] for part in (error.sent, error.received)]
        self.tell("state-lost", name, error.ours, *ranges)

    async def _watch(self, chat: Chat, name: str) -> None:
        told = (False, 0)

        def changed() -> bool:
            return (chat.up, chat.moves) != told or chat.ended is not None

        while chat.ended is None:
            await chat.changed.wait_for(changed)
            (was_up, moved), told = told, (chat.up, chat.moves)
            if chat.moves != moved:
                self.tell("moved", name, str(self._client.home))
            if chat.up != was_up:
                self.tell("up" if chat.up else "down", name)

    async def _rekey(self, chat: Chat) -> None:
        before = chat.epoch
        try:
            epoch = await chat.rekey(REKEY_TIMEOUT_S)
            self.tell("rekeyed", chat.chat_id.hex(), before, epoch)
        except HermesError as error:
            self.tell("not-rekeyed", chat.chat_id.hex(), error.code.name if isinstance(error, ProtocolError) else repr(error))

    async def _delete(self, chat: Chat) -> None:
        self.tell("deleting", chat.chat_id.hex())
        await chat.delete()

    # home

    async def _tell_patience(self) -> None:
        while (keeper := self._client._keeper) is None:  # noqa: ASYNC110 - it is made while the client opens
            await asyncio.sleep(0.01)
        self.tell("patience", keeper._patience._ends_at)

    async def _watch_home(self) -> None:
        keeper = self._client._keeper
        assert keeper is not None
        told = (False, 0)

        def changed() -> bool:
            return (self._client.connected, self._client.connections) != told

        while True:
            await keeper.changed.wait_for(changed)
            told = (self._client.connected, self._client.connections)
            what = "home" if self._client.connected else "away"
            self.tell(what, str(self._client.home), self._client.connections, keeper._patience._ends_at)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever kills the soak itself leaves no app behind
    options = AppOptions(**json.loads(sys.argv[1]))
    asyncio.run(SoakApp(options).run())


if __name__ == "__main__":
    main()
