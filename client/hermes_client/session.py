"""A session with one node: challenge and connect, then reader, writer and heartbeat until the stream ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from hermes_client.driver import AppDriver
from hermes_client.errors import HintError, StreamClosedError, StreamLostError
from hermes_client.host import ClientHost
from hermes_client.look_ups import LookUps
from hermes_client.stream import AppStream, take_batch
from hermes_client.tls import ClientTls, PlainText
from hermes_core.crypto.random import generate_bytes
from hermes_core.crypto.signing import Identity, check_public_key
from hermes_core.crypto.x25519 import generate_ephemeral
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.renewal import verify_renewals
from hermes_core.ids import AppId, Party, node_party
from hermes_core.limits import DIRECTORY_TTL_S
from hermes_core.mesh.messages import HomeFound
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import (
    NONCE_BYTES,
    AppFound,
    Challenge,
    Connected,
    Heartbeat,
    NewerHome,
    NodeChange,
    SeekHome,
    SessionMessage,
)
from hermes_core.session.connect import build_connect, complete_connect
from hermes_core.session.keys import SessionKeys
from hermes_wire.app import ClientMessage, ServerMessage
from hermes_wire.late_timers import let_inputs_arrive

_log = logging.getLogger("hermes.client")

SEEK_TIMEOUT_S: Final = 1.0  # a node answers at once; whoever does not may be no node
OPEN_TIMEOUT_S: Final = 5.0  # a pod's old address may answer nothing at all: look it up again soon
SILENT_INTERVALS: Final = 3  # a node silent for this many heartbeat intervals is gone
CLOSE_GRACE_S: Final = 2.0
RENEW_AFTER_S: Final = DIRECTORY_TTL_S / 2
"""A session that old is made anew, before what the app signed for it counts no more."""


class HomeSession:
    """`async with` opens the stream and reads the challenge; `connect` proves both sides; `serve` lasts until the end.

    Before `connect` has returned nothing that came over the stream counts: every error is a HintError.
    """

    def __init__(
        self,
        address: str,
        tls: ClientTls | PlainText,
        identity: Identity,
        driver: AppDriver,
        host: ClientHost,
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        self._stream = AppStream.open(address, tls, host)
        self._open_timeout_s = open_timeout_s
        self.newer: NewerHome | None = None
        """Why the node refuses our Connect, as it says: another one of ours that is newer. Nothing of it is verified."""
        self._random = host.random
        self._identity = identity
        self._driver = driver
        self._control: deque[ClientMessage] = deque()
        self._look_ups = LookUps(self._send_control)
        self._challenge: Challenge | None = None
        self._keys: SessionKeys | None = None
        self._early: list[ServerMessage] = []
        self._interval_s = 0.0
        self._heard_at = 0.0
        self._on_change: Callable[[NodeChange], None] = lambda _: None
        self._node_leaves = False
        self._for_good = False
        self._other_wanted = False
        self._finishing = False
        self._said_all = False
        self._ended = asyncio.Event()
        self._cut = asyncio.Event()

    @property
    def address(self) -> str:
        return self._stream.address

    @property
    def challenge(self) -> Challenge:
        if self._challenge is None:
            raise StreamLostError("no challenge yet")
        return self._challenge

    @property
    def party(self) -> Party:
        """Who the node says it is; proved once `connect` has returned."""
        return node_party(self.challenge.node_id, self.challenge.node_key)

    def has_renewed(self, former: Party) -> bool:
        """Whether this is a node that was `former`, and renewed its key: both keys say so."""
        challenge = self.challenge
        try:
            former_keys = verify_renewals(challenge.renewals, challenge.node_id, challenge.node_key)
        except ProtocolError:
            return False
        return any(node_party(challenge.node_id, key) == former for key in former_keys)

    async def __aenter__(self) -> Self:
        try:
            with only_hints(self._stream.address):
                self._challenge = await self._read_first(Challenge, self._open_timeout_s)
                check_public_key(self._challenge.node_key)
        except BaseException:
            await self._stream.close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._look_ups.close(StreamLostError(f"{self._stream.address}: the stream ended before it was answered"))
        if self._keys is not None:
            self._keys.wipe()
        await self._stream.close()

    async def seek(self, home: Party) -> HomeFound:
        """Ask where the node of this party is reached; once, before `connect`. HintError: not here."""
        with only_hints(self._stream.address):
            await self._stream.write([SeekHome(home)])
            found: HomeFound = await self._read_first(HomeFound, SEEK_TIMEOUT_S)
            return found

    async def connect(self, stamp: int, mark: bytes) -> bytes:
        """Answer the challenge, check that the node is who it says, and hand the session to the chats.

        The node gets back the `mark` that we have of it; the one that it gives, which is to take the place of that, or nothing.
        """
        node_id, node_key = self.challenge.node_id, self.challenge.node_key
        with only_hints(self._stream.address):
            connected, keys = await self._exchange(self.challenge, stamp, mark)
        self._keys = keys
        self._interval_s = connected.heartbeat_interval_ms / 1000
        self._driver.connect(node_id, node_key, keys.stream)
        return connected.mark

    async def _exchange(self, challenge: Challenge, stamp: int, mark: bytes) -> tuple[Connected, SessionKeys]:
        nonce, ephemeral = generate_bytes(NONCE_BYTES, self._random), generate_ephemeral(self._random)
        try:
            connect = build_connect(self._identity, challenge, nonce, ephemeral, stamp, mark)
            await self._stream.write([connect])
            connected = await self._read_first(Connected, OPEN_TIMEOUT_S)
            return connected, complete_connect(challenge, ephemeral, connect, connected)
        finally:
            ephemeral.wipe()

    def leave(self) -> None:
        """Another home is wanted: this one serves until there is one to go to."""
        self._other_wanted = True
        self._driver.ended.notify()

    def stay(self) -> None:
        """No longer."""
        self._other_wanted = False

    def goes(self) -> bool:
        """Whether another home is to be found: the node leaves for good, or one is wanted."""
        return self._for_good or self._other_wanted

    async def serve(self, on_change: Callable[[NodeChange], None], find_next: Callable[[], Awaitable[bool]]) -> None:
        """Run until the stream ends, which raises.

        `on_change` is told when the node says that it will leave. While the session `goes`, `find_next` looks for another home:
        when there is one to go to this stream is ended in order.
        """
        self._heard_at = asyncio.get_running_loop().time()
        self._on_change = on_change
        try:
            await _run_until_first_error(
                self._read(),
                self._write(),
                self._beat(),
                self._leave(find_next),
                self._wait_cut(),
                self._renew(),
                self._wait_doubt(),
            )
        except StreamClosedError:
            if self._said_all:
                self._driver.owes_delete = False
            raise
        finally:
            self._ended.set()
            self._driver.disconnect()

    async def find_app(self, app_id: AppId) -> AppFound:
        """StreamLostError when the stream ends before the answer."""
        if self._ended.is_set():
            raise StreamLostError(f"{self._stream.address}: the stream has ended")
        return await self._look_ups.find(app_id)

    async def finish(self) -> None:
        """Let everything that is queued leave, end our half of the stream, and give the node a moment to end its own."""
        self._finishing = True
        self._driver.wake.set()
        try:
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self._ended.wait()
        except TimeoutError:
            _log.debug("%s did not end the stream in time", self._stream.address)

    def cut(self) -> None:
        """Break the stream off as a lost network would."""
        self._cut.set()

    @property
    def _proven(self) -> SessionKeys:
        if self._keys is None:
            raise StreamLostError("not connected yet")
        return self._keys

    def _send_control(self, message: ClientMessage) -> None:
        self._control.append(message)
        self._driver.wake.set()

    async def _read_first(self, kind: type[Any], timeout_s: float) -> Any:
        """The next message must be of this kind; what else came in its batch is kept for `serve`. An error notice is raised."""
        try:
            async with asyncio.timeout(timeout_s):
                batch = await self._stream.read()
                if batch and isinstance(batch[0], NewerHome):
                    self.newer = batch[0]
                    batch = batch[1:] or await self._stream.read()
        except TimeoutError:
            raise StreamLostError(f"{self._stream.address}: no {kind.__name__} in {timeout_s:.0f} s") from None
        if batch and isinstance(batch[0], ErrorNotice):
            raise _to_error(batch[0])
        if not batch or not isinstance(batch[0], kind):
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"expected {kind.__name__}")
        self._early += batch[1:]
        return batch[0]

    async def _read(self) -> None:
        batch = self._early
        while True:
            for message in batch:
                self._receive(message)
            self._driver.received_batch()
            batch = await self._stream.read()
            self._heard_at = asyncio.get_running_loop().time()

    def _receive(self, item: ServerMessage) -> None:
        message = self._proven.reader.open(item)
        if isinstance(message, SessionMessage):
            self._receive_session(message)
            return
        if isinstance(message, ErrorNotice):
            if message.scope is ErrorScope.STREAM:
                raise _to_error(message)
            if message.code is ErrorCode.HANDSHAKE_THROTTLED and message.chat_id is None:
                self._look_ups.postpone(message.retry_after_ms / 1000)  # one for all: each was refused with a notice of its own
                return
        self._driver.receive(message)

    def _receive_session(self, message: SessionMessage) -> None:
        match message:
            case Heartbeat(reply=False):
                self._send_control(Heartbeat(message.sequence, reply=True))
            case AppFound():
                self._look_ups.answer(message)
            case NodeChange():
                self._on_change(message)
                self._for_good = self._for_good or message.for_good
                self._node_leaves = True
                self._driver.ended.notify()
            case Heartbeat():
                pass  # an answer: hearing it was the point
            case _:
                raise ProtocolError(ErrorCode.INVALID_FRAME, f"unexpected {type(message).__name__}")

    async def _write(self) -> None:
        while True:
            await self._driver.wake.wait()
            self._driver.wake.clear()
            self._driver.flush_acknowledgements()
            while self._control or self._driver.outbound:
                # Control first: it is small, and a heartbeat must not wait behind a full window.
                batch = take_batch(self._control) or take_batch(self._driver.outbound)
                await self._stream.write(self._proven.writer.tag(batch))
            if self._finishing:
                await self._stream.done_writing()
                self._said_all = True
                return

    async def _beat(self) -> None:
        """Ask for a sign of life when the node was silent; a node that stays silent is gone."""
        loop, sequence = asyncio.get_running_loop(), 0
        while True:
            due = loop.time() + self._interval_s
            await asyncio.sleep(self._interval_s)
            await let_inputs_arrive(loop.time() - due)
            silent_s = loop.time() - self._heard_at
            if silent_s > SILENT_INTERVALS * self._interval_s:
                raise StreamLostError(f"{self._stream.address}: silent for {silent_s:.1f} s")
            if silent_s >= self._interval_s / 2:
                sequence += 1
                self._send_control(Heartbeat(sequence, reply=False))

    async def _leave(self, find_next: Callable[[], Awaitable[bool]]) -> None:
        """The node leaves, or is to be left: go to another one, unless chats tie us to it, which resume when it is back.

        When it leaves for good they come along. What was said last, the end of a chat perhaps, leaves first, and the node's end
        of the stream says that it was read.
        """
        found = False
        while not found:
            await self._driver.ended.wait_for(lambda: self.goes() or (self._node_leaves and not self._driver.live_chats()))
            found = not (self._other_wanted or self._driver.live_chats()) or await find_next()
        self._finishing = True
        self._driver.wake.set()
        await asyncio.sleep(CLOSE_GRACE_S)
        raise StreamLostError(f"{self._stream.address}: the node is leaving")

    async def _renew(self) -> None:
        await asyncio.sleep(RENEW_AFTER_S)
        raise StreamLostError(f"{self._stream.address}: the session is made anew")

    async def _wait_doubt(self) -> None:
        await self._driver.home_doubted.wait()
        raise StreamLostError(f"{self._stream.address}: chats that moved there came to nothing")

    async def _wait_cut(self) -> None:
        await self._cut.wait()
        raise StreamLostError(f"{self._stream.address}: cut off by request")


@contextmanager
def only_hints(address: str) -> Iterator[None]:
    """Whatever is wrong before the node has proved who it is says nothing about it: it is told as a HintError."""
    try:
        yield
    except ProtocolError as error:
        raise HintError(f"{address}: {error}", error.retry_after_ms) from None


def _to_error(notice: ErrorNotice) -> ProtocolError:
    return ProtocolError(
        notice.code, f"the node says: {notice.detail}", scope=notice.scope, retry_after_ms=notice.retry_after_ms
    )


async def _run_until_first_error(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one raises; end the others and raise that error."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:  # in their order: `done` is a set
            if task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
