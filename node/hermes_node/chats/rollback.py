"""What a node does when its keystore proves to be an older copy: it quarantines every chat, or ends with exit code 77."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.errors import HermesError, KeystoreRolledBackError
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark
from hermes_core.keystore.rollback import Rollback, RollbackSign
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.limits import OnRollback
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.store import ChatStore
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.keystore_series import KeystoreMetrics
from hermes_node.metrics.labels import RollbackKind


class RollbackGuard:
    """The one place that acts on a proof, found at the opening or handed back later. `fail` ends the node."""

    def __init__(
        self,
        *,
        store: ChatStore,
        chats: ChatDriver,
        policy: OnRollback,
        fail: Callable[[HermesError], None],
        log: EventLog,
        metrics: KeystoreMetrics,
    ) -> None:
        self._store = store
        self._chats = chats
        self._policy = policy
        self._fail = fail
        self._log = log
        self._metrics = metrics
        self._acted = False

    @property
    def ends_node(self) -> bool:
        """Whether a proof waits that nothing is done about but to end."""
        return self._policy == "exit" and self._store.keystore.rollback is not None

    async def take_mark(self, mark: Mark, node_key: bytes) -> MarkVerdict:
        """An authentic mark that somebody hands back; `node_key` is this node's. Acted on when this returns."""
        verdict = await self._store.judge(mark, node_key)
        if verdict is MarkVerdict.ROLLED_BACK:
            await self._act_late()
        return verdict

    async def take_future(self, signed: int, known: int) -> None:
        """Another node holds a higher incarnation than this one knows of, which it signed. Acted on when this returns.

        One rollback is acted on once: whatever was found in this run before says the same.
        """
        if self._acted:
            return
        await self._store.note_rollback(Rollback(RollbackSign.OWN_FUTURE, signed, known))
        await self._act_late()

    async def _act_late(self) -> None:
        try:
            await self.act()
        except KeystoreRolledBackError as error:
            self._fail(error)

    async def act(self) -> None:
        """Act on the proof that waits in the keystore, if any. KeystoreRolledBackError when the node is to end for it.

        It goes on waiting unless every chat's quarantine is durable: a node that is killed meanwhile begins again.
        """
        rollback = self._store.keystore.rollback
        if rollback is None:
            return
        self._acted = True
        report_rollback(rollback, self._log, self._metrics)
        if self._policy == "exit":
            raise KeystoreRolledBackError(rollback.detail)
        self._chats.take_verdict(ResumeVerdict.ROLLED_BACK)
        await self._chats.flush()
        await self._store.settle_rollback()


def report_rollback(rollback: Rollback, log: EventLog, metrics: KeystoreMetrics) -> None:
    log.error("rollback_detected", reason=rollback.detail)
    metrics.count_rollback(RollbackKind.MARK if rollback.by_mark else RollbackKind.FLOOR)
