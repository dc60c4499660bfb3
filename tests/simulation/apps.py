"""An app of a simulated world: the real client library in a process of its own, doing what its list of operations says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hermes_client import PLAIN, Backoff, Chat, HermesClient, StateLostError
from hermes_client.errors import ChatEndedError, ClientClosedError, ConnectError
from hermes_client.host import ClientHost
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import generate_secret
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import SEED_BYTES, Identity
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId, derive_app_id
from hermes_core.ratchet.params import ChannelParams
from tests.simulation.app_disk import AppDisk, Copy
from tests.simulation.draws import DrawnBytes, Draws
from tests.simulation.jobs import Worker
from tests.simulation.loop import EPOCH_S, Process, VirtualLoop
from tests.simulation.machines import QuickBackend
from tests.simulation.network import Network, SimConnection
from tests.support.cheap_kem import CheapKem

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger
    from tests.simulation.schedule import AppPlan, ChatPlan, Operation

HANDSHAKE_TIMEOUT_S: Final = 60.0
HOME_PATIENCE_S: Final = 8.0
"""So that every app whose home is lost last has moved, and looked for its peers, before the world comes to rest."""

NO_COMMON_EPOCH_S: Final = 12.0
"""Of an app with a store: a chat that an older copy of it cannot go on with has ended before the world comes to rest."""

SLOW_S: Final = (0.0, 0.0, 0.0, 0.25)
"""How long an app works on a message before it takes the next one."""


async def _nothing_known(_address: str, _tls: object) -> str | None:
    """A simulated network has no files, names or certificates that could be wrong."""
    return None


def _quick_backend(passphrase: SecretBytes, costs: Argon2Params | None) -> QuickBackend:
    return QuickBackend(passphrase, costs or Argon2Params())


class KeptClient(HermesClient):
    """Says which chats it has found in its store before any of them can end."""

    def __init__(self, *given: Any, hear: Callable[[dict[ChatId, Chat]], None], **more: Any) -> None:
        super().__init__(*given, **more)
        self._hear = hear

    async def _open_store(self) -> Any:
        opened = await super()._open_store()
        self._hear(self.chats)
        return opened


class App:
    """`name` is its machine's as well. Its identity stays through its restarts; its chats do if it has a store, on `disk`."""

    def __init__(self, plan: AppPlan, window: int, loop: VirtualLoop, network: Network, draws: Draws, ledger: Ledger) -> None:
        self._window = window
        self.name = name = plan.name
        self._addresses = plan.addresses
        self._loop = loop
        self._network = network
        self.draws = draws
        self._ledger = ledger
        self.disk = AppDisk(plan.name) if plan.store else None
        self.disk_hangs_until_s = self.disk_slower_s = 0.0
        self.rollbacks = 0
        self._seed = generate_secret(SEED_BYTES, DrawnBytes(draws, f"identity of {name}"))
        self.app_id: AppId = derive_app_id(Identity.from_seed(self._seed.copy()).public_key)
        self._slow_s = draws.of("slow", name).choice(SLOW_S)
        self.starts = 0
        self.process: Process | None = None
        self.client: HermesClient | None = None
        self.failures: list[str] = []

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        self.starts += 1
        self.process = Process(f"{self.name}#{self.starts}", self._loop.time())
        if self.disk is not None:
            self.process.worker = Worker(self._loop, self, self.process)
        self._spawn(self._serve(), "offers")

    def kill(self) -> None:
        """SIGKILL. Without a store its chats are over: keys are in memory only."""
        self._die()
        if self.disk is not None:
            self.disk.died()

    def cut_power(self, kept: float) -> None:
        """Its machine stops; of what was not synced only the share `kept` is there afterwards."""
        self._die(lose=True)
        if self.disk is not None:
            self.disk.died()
            self.disk.volume.cut_power(self.draws.of("power", self.name), kept)

    def put_back(self, copy: Copy) -> None:
        """SIGKILL, an older copy of its store, and a start on it."""
        assert self.disk is not None
        self._die(lose=True)
        self.disk.died()
        self.disk.volume.restore(copy.image)
        self.rollbacks += 1
        self._ledger.put_back(self.app_id, copy.cursors)
        self.start()

    def end_act(self) -> None:
        """Whoever is to be killed in the act, which never came, dies now."""
        if self.disk is not None and self.disk.killing:
            self.kill()

    def leave(self) -> None:
        """With its world."""
        self.kill()
        if self.disk is not None:
            self.disk.close()

    def _die(self, *, lose: bool = False) -> None:
        process, self.process, self.client = self.process, None, None
        if process is not None:
            self._loop.kill(process)
            self._network.died(process, lose=lose)
            self._ledger.app_died(self.app_id, kept=self.disk is not None)

    def run(self, plan: ChatPlan, peer: App) -> None:
        """Begin a chat and do its operations, from this process."""
        if self.process is not None:
            self._spawn(self._begin(plan, peer), f"chat {plan.number}")

    def reconnect(self) -> None:
        if self.client is not None and self.process is not None:
            self.process.context.run(self.client.reconnect)

    async def close(self) -> None:
        """An orderly end, from within its process."""
        if self.client is not None:
            await self.client.close()

    # in its process

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self.process is not None
        return self._loop.create_task(self._guard(work), name=name, context=self.process.context)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (ChatEndedError, ClientClosedError, ConnectError, ProtocolError) as error:
            self._ledger.told(self.app_id, error)

    async def _serve(self) -> None:
        host = ClientHost(
            DrawnBytes(self.draws, f"{self.name}#{self.starts}"),
            CheapKem(),
            lambda: EPOCH_S + self._loop.time(),
            lambda address, _tls: SimConnection(self._network, address, frozenset(), None),
            _nothing_known,
            self._loop.time,
            *(() if self.disk is None else (self.disk.volume.connect, _quick_backend)),
        )
        client = KeptClient(
            self._addresses,
            identity=Identity.from_seed(self._seed.copy()),
            tls=PLAIN,
            params=AppParams(
                leg=ChannelParams(window=self._window),
                end_to_end=ChannelParams(window=self._window),
                home_patience_s=HOME_PATIENCE_S,
                no_common_epoch_s=AppParams().no_common_epoch_s if self.disk is None else NO_COMMON_EPOCH_S,
            ),
            backoff=Backoff(random=self.draws.of("backoff", f"{self.name}#{self.starts}")),
            connect_timeout_s=600.0,
            host=host,
            store=None if self.disk is None else self.disk.build_store(),
            hear=self._found,
        )
        self.client = client
        async with client:
            async for offer in client.offers():
                self._spawn(self._accept(offer), "accept")

    def _found(self, chats: dict[ChatId, Chat]) -> None:
        """What a start has found in the store."""
        self._ledger.app_started(self.app_id, chats)
        for chat in chats.values():
            self._spawn(self._talk(chat), "talk")

    async def _accept(self, offer: Any) -> None:
        with self._giving_up(offer._event.chat_id):
            chat = await offer.accept()
        await self._talk(chat)

    async def _begin(self, plan: ChatPlan, peer: App) -> None:
        client = await self._connected()
        await client.wait_for_app(peer.app_id, timeout_s=60.0)
        chat = client.driver.start_chat(peer.app_id)
        self._ledger.begun(plan, chat.chat_id, self.app_id, peer.app_id)
        with self._giving_up(chat.chat_id):
            await client.finish_handshake(chat, HANDSHAKE_TIMEOUT_S)
        await self._talk(chat)

    async def _rekey(self, chat: Chat) -> None:
        try:
            await chat.rekey(timeout_s=None)
        except StateLostError as error:  # which is new keys, too
            self._ledger.lost(self.app_id, error)

    @contextmanager
    def _giving_up(self, chat_id: ChatId) -> Iterator[None]:
        """The library deletes a chat whose handshake took too long, and the other app hears of that."""
        try:
            yield
        except HermesError:
            self._ledger.deleting(chat_id)
            raise

    async def _connected(self) -> HermesClient:
        while self.client is None or not self.client.connected:  # noqa: ASYNC110 - virtual time, and the client may be a new one
            await asyncio.sleep(0.05)
        return self.client

    async def _talk(self, chat: Chat) -> None:
        """Read until the end; what this side has to do in the chat is looked up by the chat's id."""
        self._ledger.joined(self.app_id, chat)
        self._spawn(self._act(chat), "operations")
        try:
            while await self._read(chat):
                pass
        finally:
            self._ledger.left(self.app_id, chat)

    async def _read(self, chat: Chat) -> bool:
        """Until the end, or until it is told that messages are forgotten: then there is more."""
        try:
            async for message in chat:
                self._ledger.received(self.app_id, chat.chat_id, message)
                if self._slow_s:
                    await asyncio.sleep(self._slow_s)
        except StateLostError as error:
            self._ledger.lost(self.app_id, error)
            return True
        return False

    async def _act(self, chat: Chat) -> None:
        await chat.wait(lambda: chat.ready)
        for operation in self._ledger.operations_of(self.name, chat.chat_id):
            await asyncio.sleep(max(0.0, operation.at_s - self._loop.time()))
            self._ledger.begins(self.name, chat.chat_id)
            await self._do(chat, operation)

    async def _send(self, chat: Chat, size: int) -> None:
        content = self._ledger.next_content(self.app_id, chat.chat_id, size)
        while True:
            try:
                seq = await chat.send(content)
            except StateLostError as error:  # nothing left yet
                self._ledger.lost(self.app_id, error)
            else:
                self._ledger.sent(self.app_id, chat.chat_id, seq)
                return

    async def _do(self, chat: Chat, operation: Operation) -> None:
        match operation.kind:
            case "send":
                for _ in range(operation.count):
                    await self._send(chat, operation.size)
            case "rekey":
                await self._rekey(chat)
            case "delete":
                self._ledger.deleting(chat.chat_id)
                await chat.delete()
