"""Leader election over HTTP: one leader at a time, takeover after its end, and a leader that notices that it is none."""

from __future__ import annotations

import asyncio

from hermes_operator.process.election import Elector, LeaseSettings
from tests.component.operator.conftest import OperatedCluster


def elector(operated: OperatedCluster, identity: str, duration_s: float = 0.5) -> Elector:
    settings = LeaseSettings("chat", "hermes-operator", identity, duration_s, renew_deadline_s=duration_s * 0.6, retry_s=0.02)
    return Elector(operated.kube, settings)


def holder(operated: OperatedCluster) -> str:
    spec = operated.api.of("leases").get("hermes-operator", {}).get("spec", {})
    return str(spec.get("holderIdentity", ""))


async def test_of_many_one_leads(operated: OperatedCluster) -> None:
    candidates = {name: elector(operated, name, 30) for name in ("a", "b", "c")}
    tasks = {name: asyncio.create_task(candidate.acquire()) for name, candidate in candidates.items()}
    done, pending = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED, timeout=10)
    more, pending = await asyncio.wait(pending, timeout=0.3)
    assert len(done | more) == 1
    assert tasks[holder(operated)].done()
    for task in pending:
        task.cancel()


async def test_a_released_lease_is_taken_at_once(operated: OperatedCluster) -> None:
    first, second = elector(operated, "first", 60), elector(operated, "second", 60)
    await first.acquire()
    await second_never(second)
    await first.release()
    assert holder(operated) == ""
    async with asyncio.timeout(10):
        await second.acquire()
    assert holder(operated) == "second"
    await first.release()
    assert holder(operated) == "second"  # one can only release one's own


async def second_never(second: Elector) -> None:
    """A try that must not succeed while the first holds it."""
    assert not await second._try_hold()


async def test_a_dead_leader_is_replaced_after_the_duration(operated: OperatedCluster) -> None:
    await elector(operated, "dead").acquire()
    async with asyncio.timeout(30):
        await elector(operated, "heir").acquire()
    assert holder(operated) == "heir"
    assert operated.api.of("leases")["hermes-operator"]["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_is_displaced_notices(operated: OperatedCluster) -> None:
    leader = elector(operated, "old", 60)
    await leader.acquire()
    holding = asyncio.create_task(leader.hold())
    lease = operated.api.of("leases")["hermes-operator"]
    operated.api.put("leases", lease | {"spec": lease["spec"] | {"holderIdentity": "new"}})
    async with asyncio.timeout(10):
        await holding


async def test_a_leader_that_cannot_renew_gives_up_before_another_may_take_over(operated: OperatedCluster) -> None:
    leader = elector(operated, "cut off", 1.0)
    await leader.acquire()
    operated.api.refuse = lambda _method, _path: 503
    async with asyncio.timeout(10):
        await leader.hold()
    operated.api.refuse = lambda _method, _path: None
    heir = elector(operated, "heir", 1.0)
    # The lease it saw last may still be running; whoever looks now must wait for its end.
    assert not await heir._try_hold()


async def test_a_leader_survives_a_short_outage(operated: OperatedCluster) -> None:
    leader = elector(operated, "steady", 60)
    await leader.acquire()
    failures = iter([503, 500, 409])
    operated.api.refuse = lambda method, _path: next(failures, None) if method == "GET" else None
    holding = asyncio.create_task(leader.hold())
    renewed = operated.api.of("leases")["hermes-operator"]["spec"]["renewTime"]
    async with asyncio.timeout(10):
        while operated.api.of("leases")["hermes-operator"]["spec"]["renewTime"] == renewed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not holding.done()
    holding.cancel()
