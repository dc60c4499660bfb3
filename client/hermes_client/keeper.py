"""Keeps a session with a node of the mesh up: connects, serves, and connects again, for as long as the client is open."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from hermes_client.addresses import AddressBook
from hermes_client.backoff import Backoff
from hermes_client.connects import Connects, HomeStore
from hermes_client.driver import AppDriver
from hermes_client.errors import ConnectSetupError, HintError, SessionReplacedError, StreamLostError
from hermes_client.home_finder import HOME_DIAL_S, HOME_RETRY_S, HomeFinder
from hermes_client.host import ClientHost
from hermes_client.session import OPEN_TIMEOUT_S, HomeSession, only_hints
from hermes_client.signal import Signal
from hermes_client.tls import ClientTls, PlainText
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.patience import HomePatience
from hermes_core.errors import ErrorCode, HermesError, ProtocolError
from hermes_core.ids import NodeId, Party, node_of_party
from hermes_core.keystore.app_record import NodeMarkRecord
from hermes_core.protocol.session import NodeChange
from hermes_core.values import dataclass

RETRY_AFTER_MAX_S: Final = 300.0
"""A node that proved itself may send an app away for so long at most; who proved nothing, no longer than the backoff does."""

_log = logging.getLogger("hermes.client")


@dataclass(frozen=True, slots=True)
class KeptHome:
    """What a former start left: the stamp of its latest Connect, marks of nodes, the home of its chats if there are any."""

    store: HomeStore
    stamp: int
    party: Party | None
    marks: Sequence[NodeMarkRecord] = ()
    patience_s: float = math.inf
    """How long this start looks for its home at most."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream with a challenge that nobody has answered; `stack` ends it."""

    address: str
    session: HomeSession
    stack: AsyncExitStack


class HomeKeeper:
    """The owner of where the client is at home. `changed` is notified when a session begins or ends, or the client does."""

    def __init__(
        self,
        driver: AppDriver,
        book: AddressBook,
        identity: Identity,
        tls: ClientTls | PlainText,
        backoff: Backoff,
        host: ClientHost,
        patience: HomePatience,
        kept: KeptHome | None = None,
        *,
        direct: bool = True,
    ) -> None:
        self._driver = driver
        self._book = book
        self._identity = identity
        self._tls = tls
        self._backoff = backoff
        self._host = host
        self._patience = patience
        self._finder = HomeFinder(book, direct=direct)
        self._loop = asyncio.get_running_loop()
        self._party = None if kept is None else kept.party
        store, stamp, marks = (None, 0, ()) if kept is None else (kept.store, kept.stamp, kept.marks)
        self._connects = Connects(identity, host, store, stamp, marks)
        self._asked_s = 0.0
        self._hopeless = True
        self._moves_in_s = 0.0
        self._next: _Opened | None = None
        self._left: Party | None = None
        self.changed = Signal()
        self.session: HomeSession | None = None
        self.last_error: HermesError | None = None
        self.home = None if kept is None or kept.party is None else node_of_party(kept.party)
        self.connections = 0
        self._looked_for_home = False
        if kept is not None and kept.party is not None:
            patience.lose(self._loop.time(), kept.patience_s)  # it may have gone for good while nobody was here

    async def run(self) -> None:
        """Until it is cancelled, or no other attempt would be better; then the driver is closed with the reason."""
        failure: HermesError | None = None
        try:
            while failure is None:
                try:
                    await self._serve_once()
                except (HermesError, OSError) as error:
                    self.last_error = _as_lost(error)
                    _log.info("connection lost: %s", self.last_error)
                    failure = self._judge(self.last_error)
                except Exception as defect:  # noqa: BLE001 - its chats outlive it
                    self.last_error = StreamLostError(f"a defect of the client: {type(defect).__name__}")
                    _log.exception("a session ended by a defect of the client; it connects again")
                    self._judge(self.last_error)
                if failure is None:
                    await asyncio.sleep(self._next_wait_s())
        finally:
            self._driver.close(failure)  # nobody may wait for ever for what cannot come
            self.changed.notify()
            if self._next is not None:
                await self._next.stack.aclose()

    @property
    def leaving(self) -> bool:
        """Another node is to become home, and none has."""
        return self._left is not None

    def leave_home(self) -> None:
        """Another node is to become home, the next that can be reached, and chats come along. Until then this one serves."""
        self._left = self._party
        if self.session is not None:
            self._book.avoid(self.session.address)
            self._moves_in_s = 0.0
            self.session.leave()

    def stay(self) -> None:
        """No longer, if none has."""
        self._left = None
        if self.session is not None:
            self.session.stay()

    def _judge(self, error: HermesError) -> HermesError | None:
        """What ends the client, if anything does: whoever has proved nothing is never believed that far."""
        if isinstance(error, HintError):
            self._ask(error.retry_after_ms, self._backoff.cap_s)
        elif isinstance(error, ProtocolError):
            self._ask(error.retry_after_ms, RETRY_AFTER_MAX_S)
            if error.code is ErrorCode.SESSION_REPLACED:
                if not self._connects.may_have_taken_over():
                    return SessionReplacedError(
                        "another process connected with this app's identity; give each process an identity of its own"
                    )
                self._ask(round(self._backoff.cap_s * 1000), self._backoff.cap_s)
        self._hopeless = self._hopeless and isinstance(error, ConnectSetupError)
        if self._book.round_over and self.connections == 0 and self._hopeless:
            return error
        return None

    def _ask(self, retry_after_ms: int, longest_s: float) -> None:
        self._asked_s = max(self._asked_s, min(retry_after_ms / 1000, longest_s))

    def _next_wait_s(self) -> float:
        """0 as long as there is another address to try, or a stream to go on with."""
        if self._next is not None or not self._book.round_over:
            return 0.0
        asked_s, self._asked_s, self._hopeless = self._asked_s, 0.0, True
        self._looked_for_home = True
        delay_s = self._backoff.next_delay_s()
        if self._is_waiting_for_home() and self._book.knows_way(self.home):
            delay_s = min(delay_s, HOME_RETRY_S)
        return max(delay_s, asked_s)

    def _is_waiting_for_home(self) -> bool:
        """Chats are alive, and it is not given up."""
        return bool(self._driver.live_chats()) and not self._patience.over(self._loop.time())

    def _note_change(self, address: str, change: NodeChange) -> None:
        """The node goes: it is the last to be asked again, and what it says of its return counts."""
        self._book.avoid(address)
        if change.for_good:
            self._moves_in_s = self._patience.give_up()
        elif change.back_within_ms:
            self._patience.promise(self._loop.time(), change.back_within_ms / 1000)

    async def _find_next(self, session: HomeSession) -> bool:
        """Whether there is a stream to another node, with which `_serve_once` goes on. `session` serves until then."""
        await asyncio.sleep(self._moves_in_s)
        while session.goes():
            address = self._book.choose(None)
            try:
                async with AsyncExitStack() as stack:
                    other = await self._open(address, stack, own=self._book.is_own(address))
                    self._book.record(address, other.challenge.node_id)
                    if other.party != self._party:
                        self._next = _Opened(address, other, stack.pop_all())
                        return True
                    self.last_error = _refuse_left(address, other.party)
            except (HermesError, OSError) as error:
                self.last_error = _as_lost(error)
                _log.info("no other home yet: %s", error)
            if self._book.round_over:
                await asyncio.sleep(self._backoff.next_delay_s())
        return False

    async def _take_next(self, stack: AsyncExitStack) -> _Opened | None:
        """What `_find_next` found; its stream ends with `stack`."""
        found, self._next = self._next, None
        if found is not None:
            await stack.enter_async_context(found.stack)
        return found

    async def _serve_once(self) -> None:
        bound = bool(self._driver.live_chats())
        # A Delete may have gone down with its stream. Home tells what it holds, and hears then that it is over.
        patient = not self.leaving and not self._patience.over(self._loop.time())
        home = self.home if patient and (bound or self._driver.owes_delete) else None
        async with AsyncExitStack() as stack:
            address, session, own = await self._reach(home, stack)
            node_id, party = session.challenge.node_id, session.party
            self._book.record(address, node_id)  # orders the attempts, and no more: nothing is proved yet
            if patient and self._party is not None and party != self._party and session.has_renewed(self._party):
                self._patience.give_up()  # the party that our chats are at home with is gone for good
                patient = False
            tied = bound or (self._driver.owes_farewells and not self._looked_for_home)
            elsewhere = tied and patient and self._party is not None and party != self._party
            if elsewhere and not await self._seek(session, address):
                raise HintError(f"{address} is {party}; the chats are at home on {self._party}")
            if party == self._left:
                raise _refuse_left(address, party)
            mark = await self._connects.connect(session)
            self._book.connected()
            self._finder.arrive(own=own, stayed=elsewhere)
            self.session, self.home, self._party, self._left = session, node_id, party, None
            self.connections += 1
            began_at = self._loop.time()
            self.changed.notify()
            keeping = asyncio.create_task(self._connects.keep_mark(node_id, mark), name="hermes-client-mark")
            try:
                self._patience.regain()
                self._driver.move()
                await session.serve(partial(self._note_change, address), partial(self._find_next, session))
            finally:
                keeping.cancel()
                self._patience.lose(self._loop.time())
                if self._driver.take_doubt():
                    self._patience.end(self._loop.time())
                    self._book.avoid(address)
                if self._loop.time() >= began_at + self._backoff.cap_s:
                    self._backoff.reset()
                self.session = None
                self.changed.notify()

    async def _reach(self, home: NodeId | None, stack: AsyncExitStack) -> tuple[str, HomeSession, bool]:
        """A stream to the node that is next; its address, and whether that is the home's own, which was told to us."""
        found = await self._take_next(stack)
        if found is not None:
            return found.address, found.session, False
        address = self._book.choose(home, home_only=self._wants_home_alone(home))
        own = self._book.is_own(address)
        return address, await self._open(address, stack, own=own), own

    def _wants_home_alone(self, home: NodeId | None) -> bool:
        """Every address was tried, and the home's own is known to lead somewhere."""
        return self._book.round_over and home is not None and self._finder.home_only(self._loop.time(), self._backoff.cap_s)

    async def _seek(self, session: HomeSession, address: str) -> bool:
        """Learn from another node where the home is. Whether the chats come to that node instead."""
        if self._party is None:
            return False
        found = await session.seek(self._party)
        with only_hints(address):
            return self._finder.take(found, self._party, self._loop.time())

    async def _open(self, address: str, stack: AsyncExitStack, *, own: bool) -> HomeSession:
        """A stream with a challenge. Until the first session stood somebody looks why there is none."""
        timeout_s = HOME_DIAL_S if own else OPEN_TIMEOUT_S
        session = HomeSession(address, self._tls, self._identity, self._driver, self._host, timeout_s)
        try:
            return await stack.enter_async_context(session)
        except HintError:
            raise
        except StreamLostError:
            if own:
                self._finder.miss(self._loop.time())
            problem = await self._host.diagnose(address, self._tls) if self.connections == 0 else None
            if problem is not None:
                raise ConnectSetupError(problem) from None
            raise


def _as_lost(error: HermesError | OSError) -> HermesError:
    """What went wrong with a stream, as an error of ours."""
    return error if isinstance(error, HermesError) else StreamLostError(str(error))


def _refuse_left(address: str, party: Party) -> HintError:
    return HintError(f"{address} is {party}, which is the home to leave")
