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
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from hermes_client.addresses import AddressBook
from hermes_client.arguments import take, take_app_id, take_timeout
from hermes_client.backoff import Backoff
from hermes_client.chat import Chat
from hermes_client.driver import AppDriver
from hermes_client.errors import CallTimeoutError, ChatEndedError, ClientClosedError, ConnectError, StreamLostError
from hermes_client.host import SYSTEM_HOST, ClientHost
from hermes_client.keeper import HomeKeeper, KeptHome
from hermes_client.offer import CHAT_TIMEOUT_S, ChatOffer
from hermes_client.pulled import Pulled
from hermes_client.session import CLOSE_GRACE_S
from hermes_client.store import AppStore
from hermes_client.time_limit import time_limit
from hermes_client.tls import ClientTls, PlainText
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.patience import HomePatience
from hermes_core.errors import ErrorCode, HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.protocol.session import AppFound

CONNECT_TIMEOUT_S: Final = 30.0
LOOKUP_INTERVAL_S: Final = 0.05
START_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Between attempts to start a chat with an app that is away; the last one again and again."""
MAY_CHANGE: Final = frozenset(
    {ErrorCode.TARGET_OFFLINE, ErrorCode.ROUTE_UNAVAILABLE, ErrorCode.DRAINING, ErrorCode.HANDSHAKE_THROTTLED}
)
"""Refusals of a new chat that say nothing of the next moment; so does every one that says when to try again.

A throttle always goes by: who is no neighbour, the other app or its node, cannot say when.
"""

_log = logging.getLogger("hermes.client")


class HermesClient:
    """One app. With a `store` its chats outlive the client and its process: `chats` are those that are there.

    Without one they live in memory only and end with the client, closed or killed; what nobody had acknowledged is lost then.

    `addresses` are nodes of one mesh ("host:port"). The first node reached becomes home for the chats made there: while any of
    them is alive the client goes back to that node. When it stays away for `params.home_patience_s`, the next node that can
    be reached becomes home, and the chats move there.

    A call that waits has a time limit (`timeout_s`, in seconds; None: none) and undoes what it began when the time is over,
    when it fails, and when it is cancelled. Once the client is closed every call raises ClientClosedError; that is a
    SessionReplacedError when another process connected with the same identity.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        identity: Identity | None = None,
        tls: ClientTls | PlainText | None = None,
        params: AppParams | None = None,
        backoff: Backoff | None = None,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
        direct: bool = True,
        host: ClientHost = SYSTEM_HOST,
        store: AppStore | None = None,
    ) -> None:
        """`identity`: it is copied, and stays its owner's to wipe; without one a new one, or the store's.

        TypeError, ValueError and HermesError name an argument that cannot be used; nothing is opened here.

        `direct`: go to the home's own address, as that node signed it, when `addresses` lead to other nodes (one may be a load
        balancer). False: only to `addresses`; chats whose home is not found behind them move to the node that is.
        """
        if tls is not None and not isinstance(tls, ClientTls | PlainText):
            raise TypeError(f"tls is ClientTls(…) or PLAIN, not {type(tls).__name__}")
        self._store = None if store is None else take(AppStore, store, "store")
        self._opened = False
        self._open_file: AppStore | None = None
        self._tls = tls or ClientTls()
        self._book = AddressBook(addresses)
        self._params = AppParams() if params is None else take(AppParams, params, "params")
        self._backoff = Backoff() if backoff is None else take(Backoff, backoff, "backoff")
        self._host = take(ClientHost, host, "host")
        self._connect_timeout_s = take_timeout(connect_timeout_s, "connect_timeout_s")
        self._direct = take(bool, direct, "direct")
        self._has_given = identity is not None
        self._identity = Identity.generate(host.random) if identity is None else take(Identity, identity, "identity").copy()
        self._driver: AppDriver | None = None
        self._keeper: HomeKeeper | None = None
        self._runner: asyncio.Task[None] | None = None
        self._rotation: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect: ConnectError after `connect_timeout_s`, ConnectSetupError at once for what no waiting helps against.

        KeystoreError and StoreError for a store that cannot be used.
        """
        if self._opened or self._closing is not None:
            raise ClientClosedError("a client is opened once: make another one")
        self._opened = True
        try:
            identity, kept = await self._open_store()
        except BaseException:
            await self.close()
            raise
        driver = self.driver
        patience = HomePatience(self._params.home_patience_s, self._host.random)
        self._keeper = HomeKeeper(
            driver, self._book, identity, self._tls, self._backoff, self._host, patience, kept, direct=self._direct
        )
        self._runner = asyncio.create_task(self._keeper.run(), name="hermes-client")
        if self._store is not None:
            self._rotation = asyncio.create_task(self._rotate(self._store, driver), name="hermes-client-rotation")
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

    async def _open_store(self) -> tuple[Identity, KeptHome | None]:
        """The driver, with the chats that were kept, and where they are at home."""
        if self._store is None:
            self._driver = AppDriver(self._identity, self._params, self._host)
            return self._identity, None
        store = self._store
        kept = await store.open(self._identity if self._has_given else None, self._host)
        self._open_file = store  # from here on it is ours to close: one that failed is closed, or another client's
        self._identity.wipe()
        self._identity = kept.identity
        try:
            driver = AppDriver(kept.identity, self._params, self._host, store)
            driver.restore(kept.chats, kept.ended)
        except BaseException:
            await store.close()
            raise
        finally:
            kept.wipe_chats()
        self._driver = driver
        homes = [chat.record.leg.peer for chat in kept.chats]  # all are the same
        homes += [ended.home for ended in reversed(kept.ended)]  # where the latest end is to be told
        patience_s = math.inf if self._connect_timeout_s is None else self._connect_timeout_s / 2  # and then there is another
        return kept.identity, KeptHome(store, kept.stamp, homes[0] if homes else None, kept.marks, patience_s)

    async def _rotate(self, store: AppStore, driver: AppDriver) -> None:
        try:
            await store.rotate(self._host.monotonic)
        except HermesError as error:
            driver.fail(error)

    @property
    def chats(self) -> dict[ChatId, Chat]:
        """The chats that are not over, those of former starts as well."""
        return dict(self.driver.chats)

    @property
    def driver(self) -> AppDriver:
        if self._driver is None:
            raise ClientClosedError("the client is not open: use `async with`")
        self._driver.check_open()
        return self._driver

    @property
    def app_id(self) -> AppId:
        return self.driver.app_id

    @property
    def connected(self) -> bool:
        return self._keeper is not None and self._keeper.session is not None

    @property
    def connections(self) -> int:
        """How often a session stood so far."""
        return 0 if self._keeper is None else self._keeper.connections

    @property
    def home(self) -> NodeId | None:
        """The node that the last session stood to."""
        return None if self._keeper is None else self._keeper.home

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Wait until a session stands; ConnectError names the last reason when the time is over."""
        timeout_s = take_timeout(timeout_s)
        driver, keeper = self.driver, self._open_keeper
        try:
            async with asyncio.timeout(timeout_s):
                await keeper.changed.wait_for(lambda: self.connected or driver.closed)
        except TimeoutError:
            reason = str(keeper.last_error) if keeper.last_error else "no node answered"
            raise ConnectError(f"not connected after {timeout_s:.0f} s: {reason}") from None
        driver.check_open()

    async def start_chat(self, app_id: AppId, timeout_s: float | None = CHAT_TIMEOUT_S) -> Chat:
        """Offer a chat and wait until the other app took it; an app that is known but away is waited for.

        ProtocolError says why not: at once TARGET_NOT_FOUND (the mesh never heard of the app) and what the app refuses with;
        when the time is over TARGET_OFFLINE (it is away, or does not answer), ROUTE_UNAVAILABLE (no way to it through the mesh)
        or what else made it wait. TypeError and INVALID_FRAME for what is no app id, or this app's own.
        """
        target, timeout_s = take_app_id(app_id), take_timeout(timeout_s)
        silent = ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "not connected to a node")
        told: ProtocolError | None = None
        attempt = 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self.wait_connected()
                    try:
                        chat = self.driver.start_chat(target)
                        silent = ProtocolError(ErrorCode.TARGET_OFFLINE, f"no answer from {target}")
                        return await self.finish_handshake(chat, None)
                    except ProtocolError as error:
                        if error.code not in MAY_CHANGE and not error.retry_after_ms:
                            raise
                        told = error
                    pause_s = START_PAUSES_S[min(attempt, len(START_PAUSES_S) - 1)]
                    attempt += 1
                    await asyncio.sleep(max(pause_s, told.retry_after_ms / 1000))
        except TimeoutError:
            raise told or silent from None

    def offers(self) -> AsyncIterator[ChatOffer]:
        """Chats that other apps offer, until the client is closed. Of those that nobody takes a bounded number waits."""
        driver = self.driver

        async def take_next() -> ChatOffer | None:
            await driver.offered.wait_for(lambda: bool(driver.offers) or driver.closed)
            if driver.closed:
                if driver.failure is not None:
                    raise driver.failure
                return None
            event = driver.offers.popleft()
            return ChatOffer(event.app_id, event, self._accept, self._reject)

        return Pulled(take_next)

    async def find_app(self, app_id: AppId, timeout_s: float | None = CHAT_TIMEOUT_S) -> AppFound:
        """Ask the directory where an app is: online at a node, away (the node where it was last), or unknown (no node).

        CallTimeoutError when nobody said so in time.
        """
        app_id, timeout_s = take_app_id(app_id), take_timeout(timeout_s)
        async with time_limit(timeout_s, f"looking up {app_id}"):
            while True:
                await self.wait_connected()
                session = self._open_keeper.session
                with suppress(StreamLostError):  # asked again on the next one
                    if session is not None:
                        return await session.find_app(app_id)

    async def wait_for_app(self, app_id: AppId, timeout_s: float | None = CHAT_TIMEOUT_S) -> AppFound:
        """Wait until the directory says that an app is online: word of it takes a moment to reach every node.

        When the time is over: TARGET_NOT_FOUND when the mesh never heard of it, TARGET_OFFLINE when it is away,
        ROUTE_UNAVAILABLE when no node said anything.
        """
        app_id, timeout_s = take_app_id(app_id), take_timeout(timeout_s)
        found: AppFound | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:  # the directory announces nothing: ask again
                    found = await self.find_app(app_id, None)
                    if found.online:
                        return found
                    await asyncio.sleep(LOOKUP_INTERVAL_S)
        except TimeoutError:
            code = ErrorCode.ROUTE_UNAVAILABLE if found is None else _code_of_absence(found)
            raise ProtocolError(code, f"{app_id} did not come online in {timeout_s:.0f} s") from None

    async def finish_handshake(self, chat: Chat, timeout_s: float | None) -> Chat:
        """Wait until both ends of a new chat have confirmed their keys; whatever else comes of it, the chat is deleted."""
        try:
            async with asyncio.timeout(timeout_s):
                await chat.wait(lambda: chat.ready or chat.failure is not None)
        except BaseException as error:
            self._discard(chat)
            if isinstance(error, TimeoutError):
                detail = f"no answer from {chat.peer} in {timeout_s:.0f} s"
                raise ProtocolError(ErrorCode.TARGET_OFFLINE, detail) from None
            if isinstance(error, ChatEndedError) and chat.failure is not None:
                raise chat.failure from None
            raise
        if not chat.ready and chat.failure is not None:
            self._discard(chat)
            raise chat.failure
        return chat

    async def move(self, timeout_s: float | None = CHAT_TIMEOUT_S) -> NodeId:
        """Make another node home, the next that can be reached, and return it once every chat has moved there.

        ConnectError when none can be reached in time: the client goes back to its home. CallTimeoutError when one stands and
        a chat has not followed: it does later, by itself.
        """
        timeout_s = take_timeout(timeout_s)
        driver, keeper = self.driver, self._open_keeper
        moves = {chat: chat.resumes for chat in driver.live_chats() if chat.ready}
        keeper.leave_home()
        try:
            async with time_limit(timeout_s, "moving to another node"):
                await keeper.changed.wait_for(lambda: not keeper.leaving or driver.closed)
                for chat, resumes in moves.items():
                    await chat.wait_resumed(resumes)
        except CallTimeoutError:
            if keeper.leaving:
                raise ConnectError(f"no other node in {timeout_s:g} s: {keeper.last_error}; the home stays") from None
            raise
        finally:
            keeper.stay()
        driver.check_open()
        if keeper.home is None:
            raise ConnectError("no session has stood yet")
        return keeper.home

    def reconnect(self) -> None:
        """Break the stream off and come back over a new one, as after a loss of the network."""
        if self._keeper is not None and self._keeper.session is not None:
            self._keeper.session.cut()

    async def close(self) -> None:
        """End the stream, wipe keys. Chats stay in the store; without one they are deleted: nobody could resume them.

        Keys of chats are wiped at once, the rest within `CLOSE_GRACE_S` twice. It raises nothing; when it is cancelled the
        closing goes on without its caller.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="hermes-client-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        driver, keeper, runner = self._driver, self._keeper, self._runner
        try:
            if driver is not None and keeper is not None and not driver.closed:
                await self._end_chats(driver)  # the node is told before the stream ends
                if keeper.session is not None:
                    await keeper.session.finish()
        except Exception:  # noqa: BLE001 - it is wiped all the same
            _log.exception("a client could not end its session in order")
        finally:
            if driver is not None:
                driver.close()
            if runner is not None:
                runner.cancel()
            if self._open_file is not None:
                await self._close_store(self._open_file)
            self._identity.wipe()
            if keeper is not None:
                keeper.changed.notify()
        if runner is not None:
            await asyncio.wait([runner, *filter(None, [self._rotation])], timeout=CLOSE_GRACE_S)

    async def _end_chats(self, driver: AppDriver) -> None:
        if self._store is None:
            lost = [chat.unacknowledged for chat in driver.live_chats() if chat.unacknowledged]
            if lost:
                _log.warning("messages that end with this client, not acknowledged: %d (chats: %d)", sum(lost), len(lost))
            driver.end_chats()
            return
        driver.flush_acknowledgements()
        with suppress(HermesError):  # whoever waited for it was told
            await driver.wait_kept()

    async def _close_store(self, store: AppStore) -> None:
        if self._rotation is not None:
            self._rotation.cancel()
        try:
            await store.close()
        except HermesError as error:
            _log.error("the store could not be closed in order: %s", error)

    @property
    def _open_keeper(self) -> HomeKeeper:
        if self._keeper is None:
            raise ClientClosedError("the client is not open: use `async with`")
        return self._keeper

    async def _accept(self, event: ChatOffered, timeout_s: float | None) -> Chat:
        return await self.finish_handshake(self.driver.accept(event), timeout_s)

    def _reject(self, chat_id: ChatId, code: ErrorCode) -> None:
        self.driver.reject(chat_id, code)

    def _discard(self, chat: Chat) -> None:
        """Undo a chat that came to nothing."""
        if self._driver is not None:
            self._driver.discard(chat.chat_id)


def _code_of_absence(found: AppFound) -> ErrorCode:
    return ErrorCode.TARGET_NOT_FOUND if found.node_id is None else ErrorCode.TARGET_OFFLINE
