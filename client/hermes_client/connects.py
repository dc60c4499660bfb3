"""What an app says to a node to connect, and has said to others: stamps that only rise, and the marks that nodes gave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from hermes_client.host import ClientHost
from hermes_client.session import HomeSession
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.kept_marks import KeptMarks
from hermes_core.errors import HermesError, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.keystore.app_record import NodeMarkRecord
from hermes_core.protocol.claims import verify_claim
from hermes_core.protocol.session import NewerHome
from hermes_core.session.stamps import next_stamp

STALE_CONNECT_S: Final = 60.0
"""A Connect of ours that was given up may still be taken in, and replace a session of ours: for so long at most."""


class HomeStore(Protocol):
    """What an AppStore keeps of sessions."""

    async def keep_stamp(self, stamp: int) -> None: ...
    async def keep_mark(self, came: NodeMarkRecord, gone: NodeMarkRecord | None) -> None: ...


class Connects:
    """Owns the stamp of the latest Connect, the marks that go with the next ones, and when one was last given up."""

    def __init__(
        self, identity: Identity, host: ClientHost, store: HomeStore | None, stamp: int, marks: Sequence[NodeMarkRecord]
    ) -> None:
        """`stamp` and `marks`: those that a former start left in the store."""
        self._identity = identity
        self._host = host
        self._store = store
        self._stamp = stamp
        self._marks = KeptMarks()
        self._marks.restore(marks)
        self._loop = asyncio.get_running_loop()
        self._gave_up_at: float | None = None

    async def connect(self, session: HomeSession) -> bytes:
        """The mark that the node gives, or nothing."""
        challenge = session.challenge
        try:
            self._stamp = next_stamp(self._stamp, self._host.wall())  # later than every one before, whatever the clock says
            if self._store is not None:
                await self._store.keep_stamp(self._stamp)
            return await session.connect(self._stamp, self._marks.find(challenge.node_id, challenge.node_key))
        except BaseException:
            if not self._note_newer(session.newer):
                self._gave_up_at = self._loop.time()
            raise

    async def keep_mark(self, node_id: NodeId, mark: bytes) -> None:
        """What the node gave, in whichever start it is handed back."""
        if mark:
            gone = self._marks.take(node_id, mark)
            if self._store is not None:
                with suppress(HermesError):  # who commits what chats want kept tells of it
                    await self._store.keep_mark(NodeMarkRecord(node_id, mark), gone)

    def may_have_taken_over(self) -> bool:
        """Whether the session that took the place of another one may be that of a Connect of this very client."""
        return self._gave_up_at is not None and self._loop.time() < self._gave_up_at + STALE_CONNECT_S

    def _note_newer(self, newer: NewerHome | None) -> bool:
        """A node knows a later Connect of this app, perhaps of another process: if we signed it, the next one is above.

        Whether it is later than ours, which takes nobody's place then, wherever it arrives.
        """
        if newer is None or newer.claim.app_key != self._identity.public_key:
            return False
        with suppress(ProtocolError):
            verify_claim(newer.home, newer.claim)
            late = newer.claim.stamp > self._stamp
            self._stamp = max(self._stamp, newer.claim.stamp)
            return late
        return False
