"""An app of the tests: a raw AppRouter stream with the real chat machine behind it, and hooks to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import AppEvent, ChatOffered, MessageReceived, PathChanged
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import AppFound, Challenge, Connect, Connected, FindApp, Heartbeat, NodeChange
from hermes_core.session.keys import SessionKeys
from hermes_core.session.stamps import next_stamp
from hermes_proto.v2.app_router_pb2 import ServerBatch
from hermes_wire.app import ClientMessage, ServerMessage, build_client_batch, parse_server_batch
from tests.support.sessions import AppEnd

DEADLINE_S = 20.0
METHOD = "/hermes.v2.AppRouter/Open"
_SESSION = (AppFound, Challenge, Connected, Heartbeat, NodeChange)
T = TypeVar("T")


class RawApp:
    """`received`: everything the node sent; `events`: everything the machine reported. Messages are acknowledged at once."""

    def __init__(self, address: str, ca_file: Path | None = None, *, identity: Identity | None = None) -> None:
        self.address = address
        self.ca_file = ca_file
        self.identity = identity or Identity.generate()
        self.chats = AppChats(
            identity=self.identity, params=AppParams(resume_retry_s=1.0, retransmit_s=1.0), random=SYSTEM_RANDOM
        )
        self.app_id = self.chats.app_id
        self.received: list[ServerMessage] = []
        self.events: list[AppEvent] = []
        self.ended: asyncio.Event = asyncio.Event()
        self.accept_chats = True
        self._channel: grpc.aio.Channel | None = None
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self.keys: SessionKeys | None = None
        self.stamp = 0
        self.mark = b""
        """What it hands back at its next Connect; `given` is what the node gave it at the last."""
        self.given = b""
        self._end: AppEnd | None = None
        self._unsent: list[ClientMessage] = []

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open_stream(self) -> Challenge:
        """A stream whose challenge was received and not answered."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        if self.ca_file is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(self.ca_file.read_bytes())
            self._channel = grpc.aio.secure_channel(self.address, credentials, options=options)
        method: Any = self._channel.stream_stream(METHOD)
        self._call = method()
        (challenge,) = await self.read()
        assert isinstance(challenge, Challenge), challenge
        return challenge

    def answer(self, challenge: Challenge) -> Connect:
        """The Connect that answers it; what is read next may be the node's Connected."""
        self.stamp = next_stamp(self.stamp, time.time())
        self._end = AppEnd(self.identity, challenge, mark=self.mark, stamp=self.stamp)
        return self._end.connect

    async def connect(self) -> None:
        """Until the node has taken this app in; raises what the stream ended with."""
        self.ended.clear()
        challenge = await self.open_stream()
        await self.write([self.answer(challenge)])
        first = await self.read()
        assert self.keys is not None, first
        self.chats.connected(challenge.node_id, challenge.node_key, self.keys.stream, time.time())
        self.received += first
        self._reader = asyncio.create_task(self._read())
        self._ticker = asyncio.create_task(self._tick())
        for message in first[1:]:
            self._take(message)
        await self.flush()

    async def disconnect(self) -> None:
        """Drop the connection without a word; the chats stay."""
        for task in (self._reader, self._ticker):
            if task is not None:
                task.cancel()
        if self._call is not None:
            self._call.cancel()
        if self._channel is not None:
            await self._channel.close()
        self._call = self._channel = self._reader = self._ticker = self.keys = self._end = None
        self._unsent.clear()
        self.chats.disconnected(time.time())
        self.events += self.chats.take_output().events

    async def close(self) -> None:
        await self.disconnect()

    async def reconnect(self, address: str | None = None) -> None:
        """Again and again until the node answers, as a client does."""
        await self.disconnect()
        self.address = address or self.address
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    await self.connect()
                except grpc.aio.AioRpcError:
                    await self.disconnect()
                    await asyncio.sleep(0.05)
                else:
                    return

    async def read(self) -> list[ServerMessage]:
        """The next batch, its tags checked; [] at the end of the stream."""
        async with asyncio.timeout(DEADLINE_S):
            raw = await self._call.read()
        return [] if raw is grpc.aio.EOF else self._open(parse_server_batch(ServerBatch.FromString(raw)))

    def _open(self, batch: list[ServerMessage]) -> list[ServerMessage]:
        plain: list[ServerMessage] = []
        for item in batch:
            if self.keys is None and self._end is not None and isinstance(item, Connected):
                self.keys = self._end.complete(item)
                self.given = item.mark
                plain.append(item)
            else:
                plain.append(item if self.keys is None else self.keys.reader.open(item))
        return plain

    async def write(self, messages: list[ClientMessage]) -> None:
        """As its session sends it: with tags, once it has keys."""
        async with self._writing:
            await self._write(messages)

    async def _write(self, messages: list[ClientMessage]) -> None:
        tagged = messages if self.keys is None else self.keys.writer.tag(messages)
        await self._call.write(build_client_batch(tagged).SerializeToString())

    async def write_raw(self, data: bytes) -> None:
        async with self._writing:
            await self._call.write(data)

    async def do(self, act: Callable[[float], T]) -> T:
        """Ask something of the chat machine and send what comes of it."""
        result = act(time.time())
        await self.flush()
        return result

    async def start_chat(self, other: RawApp) -> ChatId:
        return await self.do(lambda now: self.chats.start_chat(other.app_id, now))

    async def say(self, chat_id: ChatId, *contents: bytes) -> None:
        for content in contents:
            await self.do(lambda now, content=content: self.chats.send(chat_id, content, now))  # type: ignore[misc]

    async def find(self, other: RawApp) -> AppFound:
        before = len(self.received)
        await self.write([FindApp(other.app_id)])
        return await self.wait(lambda: next((m for m in self.received[before:] if isinstance(m, AppFound)), None))

    async def wait_found(self, other: RawApp) -> None:
        """Until the directory knows the other app."""
        async with asyncio.timeout(DEADLINE_S):
            while not (await self.find(other)).online:  # noqa: ASYNC110 - the other process's state is polled
                await asyncio.sleep(0.02)

    async def wait_event(self, kind: type[T], *, after: int = 0) -> T:
        return await self.wait(lambda: next((e for e in self.events[after:] if isinstance(e, kind)), None))

    async def wait_path_lost(self) -> None:
        """A path of a chat of its was up, and is down."""
        await self.wait(lambda: [event for event in self.events if isinstance(event, PathChanged) and not event.up])

    async def wait_error(self) -> ErrorNotice:
        return await self.wait(lambda: next((m for m in self.received if isinstance(m, ErrorNotice)), None))

    async def wait(self, look: Callable[[], T | None]) -> T:
        """What `look` finds, as soon as it finds something."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := look()):
                self._changed.clear()
                await self._changed.wait()
            return found

    def contents(self) -> list[bytes]:
        """What the other app said, in the order of arrival."""
        return [event.content for event in self.events if isinstance(event, MessageReceived)]

    async def flush(self) -> None:
        """Send what the machine has to say; in its order, whoever calls this."""
        async with self._writing:
            output = self.chats.take_output()
            self.events += output.events
            sends, self._unsent = [*self._unsent, *output.sends], []
            for start in range(0, len(sends), 200):
                await self._write(list(sends[start : start + 200]))
        self._changed.set()

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, Heartbeat) and not message.reply:
            self._unsent.append(Heartbeat(message.sequence, reply=True))
        if not isinstance(message, _SESSION):
            self.chats.receive(message, time.time())  # type: ignore[arg-type]

    async def _read(self) -> None:
        try:
            while batch := await self._read_batch():
                self.received += batch
                for message in batch:
                    self._take(message)
                await self._answer()
        finally:
            self.ended.set()
            self._changed.set()

    async def _read_batch(self) -> list[ServerMessage]:
        try:
            raw = await self._call.read()
        except grpc.aio.AioRpcError:
            return []
        return [] if raw is grpc.aio.EOF else self._open(parse_server_batch(ServerBatch.FromString(raw)))

    async def _answer(self) -> None:
        """Accept what is offered, acknowledge what is received, send what that makes."""
        output = self.chats.take_output()
        now = time.time()
        for event in output.events:
            if isinstance(event, ChatOffered) and self.accept_chats:
                self.chats.accept(event.chat_id, now)
            elif isinstance(event, MessageReceived):
                self.chats.acknowledge(event.chat_id, event.seq, now)
        self.events += output.events
        self._unsent += output.sends
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self.flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.chats.handle_timer(time.time())
            try:
                await self.flush()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return
