"""Proofs of a rollback that no mark gives: what a node signed in a later run than it knows of."""

from __future__ import annotations

import io
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

from hermes_core.errors import HermesError, KeystoreRolledBackError
from hermes_core.keystore.rollback import Rollback, RollbackSign
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.limits import OnRollback
from hermes_node.chats.rollback import RollbackGuard
from hermes_node.logs.event_log import EventLog


class Scene:
    def __init__(self, policy: OnRollback = "quarantine") -> None:
        self.noted: list[Rollback] = []
        self.failed: list[HermesError] = []
        self.chats = Mock(flush=AsyncMock())
        self.store = Mock(keystore=Mock(rollback=None), settle_rollback=AsyncMock(side_effect=self._settle))
        self.store.note_rollback = AsyncMock(side_effect=self._note)
        log = EventLog(node_id="node", stream=io.StringIO())
        parts = {"store": self.store, "chats": self.chats, "log": log, "metrics": Mock()}
        self.guard = RollbackGuard(policy=policy, fail=self.failed.append, **cast("Any", parts))

    def _note(self, rollback: Rollback) -> None:
        self.noted.append(rollback)
        self.store.keystore.rollback = rollback

    def _settle(self) -> None:
        self.store.keystore.rollback = None


async def test_a_later_incarnation_of_its_own_quarantines_every_chat_once() -> None:
    scene = Scene()
    await scene.guard.take_future(140, 66)
    assert scene.noted == [Rollback(RollbackSign.OWN_FUTURE, 140, 66)]
    assert scene.noted[0].by_mark
    scene.chats.take_verdict.assert_called_once_with(ResumeVerdict.ROLLED_BACK)
    await scene.guard.take_future(141, 66)  # of another member, which heard another one
    assert len(scene.noted) == 1
    scene.chats.take_verdict.assert_called_once()


async def test_where_a_rollback_ends_the_node_this_one_does() -> None:
    scene = Scene("exit")
    await scene.guard.take_future(140, 66)
    assert [type(error) for error in scene.failed] == [KeystoreRolledBackError]
    assert "incarnation 140" in str(scene.failed[0])
    scene.chats.take_verdict.assert_not_called()
