"""HermesClient: an app's connection to the mesh, kept up through restarts of the node and of the network.

async with HermesClient(["node-0.example:8443"], identity=identity, tls=ClientTls(ca_file=ca)) as client:
    chat = await client.start_chat(app_id)
    await chat.send(b"hello")
    async for message in chat:
        print(message.content)
    await chat.delete()

async for offer in client.offers():
    chat = await offer.accept()
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hermes_client.addresses import AddressBook
from hermes_client.backoff import Backoff
from hermes_client.chat import Chat
from hermes_client.driver import AppDriver
from hermes_client.errors import ChatEndedError, ClientClosedError, ConnectError, HintError, StreamLostError
from hermes_client.host import SYSTEM_HOST, ClientHost
from hermes_client.session import HomeSession
from hermes_client.signal import Signal
from hermes_client.tls import ClientTls, PlainText
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered
from hermes_core.endpoint.kept_marks import KeptMarks
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, HermesError, ProtocolError
from hermes_core.ids import AppId, NodeId, Party
from hermes_core.protocol.session import AppFound
from hermes_core.ratchet.replay import next_order

CONNECT_TIMEOUT_S = 30.0
CHAT_TIMEOUT_S = 30.0
LOOKUP_INTERVAL_S = 0.05

_log = logging.getLogger("hermes.client")


@dataclass(frozen=True, slots=True)
class ChatOffer:
    """Another app wants to chat."""

    app_id: AppId
    _client: HermesClient
    _event: ChatOffered

    async def accept(self, timeout_s: float = CHAT_TIMEOUT_S) -> Chat:
        """Answer, and wait until the other app has confirmed; ProtocolError or ChatEndedError when it comes to nothing."""
        return await self._client.finish_handshake(self._client.driver.accept(self._event), timeout_s)

    def reject(self, code: ErrorCode = ErrorCode.TARGET_NOT_FOUND) -> None:
        self._client.driver.reject(self._event.chat_id, code)


class HermesClient:
    """One app. Its chats live as long as the client: it keeps their keys in memory only.

    `addresses` are nodes of one mesh ("host:port"). The first node reached becomes home for the chats made there: while any of
    them is alive the client goes back to that node, since only it can resume them.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        identity: Identity | None = None,
        tls: ClientTls | PlainText | None = None,
        params: AppParams | None = None,
        backoff: Backoff | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        host: ClientHost = SYSTEM_HOST,
    ) -> None:
        self._book = AddressBook(addresses)
        self._owns_identity = identity is None
        self._identity = identity or Identity.generate(host.random)
        self._tls = tls or ClientTls()
        self._params = params or AppParams()
        self._backoff = backoff or Backoff()
        self._connect_timeout_s = connect_timeout_s
        self._host = host
        self._driver: AppDriver | None = None
        self._session: HomeSession | None = None
        self._runner: asyncio.Task[None] | None = None
        self._last_error: HermesError | None = None
        self._changed = Signal()
        self._home: Party | None = None
        self._stamp = 0
        self._marks = KeptMarks()
        self.connections = 0
        self.home: NodeId | None = None

    async def __aenter__(self) -> Self:
        self._driver = AppDriver(self._identity, self._params, self._host)
        self._runner = asyncio.create_task(self._run(), name="hermes-client")
        try:
            await self.wait_connected(self._connect_timeout_s)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def driver(self) -> AppDriver:
        if self._driver is None or self._driver.closed:
            raise ClientClosedError("the client is not open: use `async with`")
        return self._driver

    @property
    def app_id(self) -> AppId:
        return self.driver.app_id

    @property
    def connected(self) -> bool:
        return self._session is not None

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Wait until a session stands; ConnectError names the last reason when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait_for(lambda: self.connected or self._runner_failed())
        except TimeoutError:
            reason = str(self._last_error) if self._last_error else "no node answered"
            raise ConnectError(f"not connected after {timeout_s:.0f} s: {reason}") from None
        if self._runner_failed() and self._runner is not None:
            self._runner.result()

    async def start_chat(self, app_id: AppId, timeout_s: float = CHAT_TIMEOUT_S) -> Chat:
        """Offer a chat and wait until the other app took it; ProtocolError (TARGET_OFFLINE …) says why not."""
        return await self.finish_handshake(self.driver.start_chat(app_id), timeout_s)

    async def offers(self) -> AsyncIterator[ChatOffer]:
        """Chats that other apps offer, until the client is closed."""
        driver = self.driver
        while True:
            await driver.offered.wait_for(lambda: bool(driver.offers) or driver.closed)
            if driver.closed:
                return
            event = driver.offers.popleft()
            yield ChatOffer(event.app_id, self, event)

    async def find_app(self, app_id: AppId, timeout_s: float = CHAT_TIMEOUT_S) -> AppFound:
        """Ask the directory where an app is."""
        async with asyncio.timeout(timeout_s):
            await self._changed.wait_for(lambda: self.connected)
            if self._session is None:
                raise ConnectError("not connected")
            return await self._session.find_app(app_id)

    async def wait_for_app(self, app_id: AppId, timeout_s: float = CHAT_TIMEOUT_S) -> AppFound:
        """Wait until the directory says that an app is online: word of it takes a moment to reach every node."""
        try:
            async with asyncio.timeout(timeout_s):
                found = await self.find_app(app_id, timeout_s)
                while not found.online:  # the directory announces nothing: ask again
                    await asyncio.sleep(LOOKUP_INTERVAL_S)
                    found = await self.find_app(app_id, timeout_s)
        except TimeoutError:
            raise ProtocolError(ErrorCode.TARGET_NOT_FOUND, f"{app_id} did not come online in {timeout_s:.0f} s") from None
        return found

    async def finish_handshake(self, chat: Chat, timeout_s: float) -> Chat:
        """Wait until both ends of a new chat have confirmed their keys."""
        try:
            async with asyncio.timeout(timeout_s):
                await chat.wait(lambda: chat.ready or chat.failure is not None)
        except TimeoutError:
            self.driver.delete(chat.chat_id)
            raise ProtocolError(ErrorCode.TARGET_OFFLINE, f"no answer from {chat.peer} in {timeout_s:.0f} s") from None
        except ChatEndedError:
            if chat.failure is not None:
                raise chat.failure from None
            raise
        if not chat.ready and chat.failure is not None:
            raise chat.failure
        return chat

    def reconnect(self) -> None:
        """Break the stream off and come back over a new one, as after a loss of the network."""
        if self._session is not None:
            self._session.cut()

    async def close(self) -> None:
        """Delete the chats that are still alive (without this client nobody could resume them), end the stream, wipe keys."""
        driver = self._driver
        if driver is None or driver.closed:
            return
        for chat in driver.live_chats():
            driver.delete(chat.chat_id)  # wipes its keys now; the node is told before the stream ends
        if self._session is not None:
            await self._session.finish()
        driver.close()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        if self._owns_identity:
            self._identity.wipe()
        self._changed.notify()

    def _runner_failed(self) -> bool:
        return self._runner is not None and self._runner.done()

    async def _run(self) -> None:
        """Connect, serve, and connect again, for as long as the client is open."""
        try:
            while True:
                try:
                    await self._serve_once()
                except (HermesError, OSError) as error:
                    self._last_error = error if isinstance(error, HermesError) else StreamLostError(str(error))
                    _log.info("connection lost: %s", self._last_error)
                except Exception as defect:  # noqa: BLE001 - its chats outlive it
                    self._last_error = StreamLostError(f"a defect of the client: {type(defect).__name__}")
                    _log.exception("a session ended by a defect of the client; it connects again")
                if _was_replaced(self._last_error):  # two of one identity must not chase each other
                    await asyncio.sleep(self._backoff.cap_s)
                elif self._book.round_over:
                    await asyncio.sleep(self._backoff.next_delay_s())
        finally:
            if self._driver is not None:
                self._driver.close()  # nobody may wait for ever for what cannot come
            self._changed.notify()

    def _leave(self, address: str) -> None:
        """The node goes: it is the last to be asked again."""
        self._book.avoid(address)

    def _next_stamp(self) -> int:
        """Of a Connect, in ms: later than every one before, whatever the clock says."""
        self._stamp = next_order(self._stamp, self._host.wall())
        return self._stamp

    async def _serve_once(self) -> None:
        bound = bool(self.driver.live_chats())
        # A Delete may have gone down with its stream. Home tells what it holds, and hears then that it is over.
        address = self._book.choose(self.home if bound or self.driver.owes_delete else None)
        async with HomeSession(address, self._tls, self._identity, self.driver, self._host) as session:
            node_id, party = session.challenge.node_id, session.party
            self._book.record(address, node_id)  # orders the attempts, and no more: nothing is proved yet
            if bound and self._home is not None and party != self._home:
                raise HintError(f"{address} is {party}; the chats are at home on {self._home}")
            await session.connect(self._next_stamp(), self._marks)
            self._book.connected()
            self._backoff.reset()
            self._session, self.home, self._home = session, node_id, party
            self.connections += 1
            self._changed.notify()
            try:
                await session.serve(self._leave)
            finally:
                self._session = None
                self._changed.notify()


def _was_replaced(error: HermesError | None) -> bool:
    """A node that proved itself says that another process is here with our identity."""
    return isinstance(error, ProtocolError) and error.code is ErrorCode.SESSION_REPLACED
