"""The verified rolling restart: every branch of the machine, and whole rollouts against a simulated StatefulSet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hermes_core.keystore.witness_verdict import ResumeJudgement, ResumeVerdict
from hermes_operator.nodes.departure import Leftover
from hermes_operator.observe.failures import NodeFailure
from hermes_operator.observe.observed import PodView
from hermes_operator.rollout.answers import MOVE_WAIT_S, record_check, record_drain, record_witness
from hermes_operator.rollout.decisions import POLL_S
from hermes_operator.rollout.machine import UNTRACKED_REASON, begin_rollout, plan_rollout
from hermes_operator.rollout.rollout_input import RolloutInput
from hermes_operator.rollout.state import (
    CheckResume,
    Decision,
    DeletePod,
    DrainPod,
    Rollout,
    RolloutStep,
    TakeWitness,
    parse_rollout,
    render_rollout,
)
from tests.unit.hermes_operator.operator_samples import NOW, pod_of, reasons, statefulset_of, witness_of
from tests.unit.hermes_operator.simulated_cluster import GOOD, SimulatedCluster

BROKEN = NodeFailure("CrashLoopBackOff", "it crashes")
SEALED = NodeFailure("KeystoreBadPassphrase", "wrong passphrase", keystore=True, permanent=True)


def at(step: RolloutStep, **changes: Any) -> Rollout:
    values: dict[str, Any] = {
        "partition": 3,
        "reason": "because",
        "target_revision": "rev-2",
        "started_at": NOW,
        "step_started_at": NOW,
    }
    return Rollout(step=step, **(values | changes))


def on_pod(step: RolloutStep, **changes: Any) -> Rollout:
    return at(step, **({"pod": "demo-2", "pod_uid": "demo-2@rev-1"} | changes))


def pods(*changed: PodView, revision: str = "rev-1") -> tuple[PodView, ...]:
    members = {n: pod_of(f"demo-{n}", revision) for n in range(3)} | {pod.ordinal: pod for pod in changed}
    return tuple(members[n] for n in sorted(members))


def plan(rollout: Rollout, members: tuple[PodView, ...], *, after_s: float = 0, paused: bool = False, **sts: Any) -> Decision:
    seen = RolloutInput(statefulset_of(**sts), members, paused, max_wait_s=60)
    now = NOW + timedelta(seconds=after_s)
    decision = plan_rollout(rollout, seen, now)
    assert plan_rollout(rollout, seen, now) == decision
    return decision


def test_at_rest_nothing_is_done_and_the_partition_is_parked() -> None:
    decision = plan(at(RolloutStep.IDLE, partition=1, target_revision="rev-1"), pods(), update_revision="rev-1")
    assert decision == Decision(at(RolloutStep.IDLE, target_revision="rev-1"))


def test_a_template_changed_by_others_is_gated_as_well() -> None:
    decision = plan(at(RolloutStep.IDLE, target_revision="rev-1"), pods())
    assert (decision.rollout.step, decision.rollout.partition) == (RolloutStep.WAITING, 3)
    assert decision.rollout.reason == UNTRACKED_REASON
    assert reasons(decision.events) == ["RolloutStarted"]


@pytest.mark.parametrize(
    ("step", "expected"), [(RolloutStep.IDLE, ""), (RolloutStep.RESTART, "superseded"), (RolloutStep.HALTED, "")]
)
def test_a_new_template_parks_the_partition_whatever_was_going_on(step: RolloutStep, expected: str) -> None:
    decision = begin_rollout(at(step, partition=1, pod="demo-1"), 3, "image", NOW)
    assert decision.outcome == expected
    assert decision.rollout == at(RolloutStep.WAITING, reason="image", target_revision="")
    assert reasons(decision.events)[-1] == "RolloutStarted"
    assert ("RolloutSuperseded" in reasons(decision.events)) == (step is not RolloutStep.IDLE)


def test_highest_ordinal_first_and_its_witness_before_all() -> None:
    decision = plan(at(RolloutStep.WAITING), pods())
    assert (decision.rollout.step, decision.rollout.pod, decision.rollout.partition) == (RolloutStep.WITNESS, "demo-2", 3)
    assert decision.effects == (TakeWitness("demo-2"),)


def test_updated_pods_are_passed_over() -> None:
    assert plan(at(RolloutStep.WAITING), pods(pod_of("demo-2", "rev-2"))).rollout.pod == "demo-1"


@pytest.mark.parametrize(
    "other",
    [
        pod_of("demo-0", "rev-1", ready=False),
        pod_of("demo-0", "rev-2", ready=False, failure=BROKEN),
        pod_of("demo-0", "rev-1", ready=False, terminating=True),
    ],
    ids=["starting", "updated and failed", "ending"],
)
def test_no_pod_is_touched_while_another_is_down(other: PodView) -> None:
    decision = plan(at(RolloutStep.WAITING), pods(other))
    assert (decision.rollout.step, decision.effects) == (RolloutStep.WAITING, ())
    assert "demo-0" in decision.rollout.message


def test_a_missing_pod_is_a_pod_that_is_down() -> None:
    assert plan(at(RolloutStep.WAITING), pods()[1:]).rollout.message.startswith("waiting for ordinal 0")


def test_an_old_pod_that_failed_holds_up_nothing() -> None:
    decision = plan(at(RolloutStep.WAITING), pods(pod_of("demo-0", "rev-1", ready=False, failure=BROKEN)))
    assert decision.rollout.step is RolloutStep.WITNESS


def test_an_old_pod_that_is_unready_for_too_long_holds_up_nothing_either() -> None:
    members = pods(pod_of("demo-0", "rev-1", ready=False))
    assert plan(at(RolloutStep.WAITING), members, after_s=60).rollout.step is RolloutStep.WAITING
    assert plan(at(RolloutStep.WAITING), members, after_s=61).rollout.step is RolloutStep.WITNESS


def test_paused_touches_no_further_pod_but_verifies_the_one_under_way() -> None:
    assert plan(at(RolloutStep.WAITING), pods(), paused=True).rollout.message == "paused by spec.rollout.paused"
    fresh = pods(pod_of("demo-2", "rev-2"))
    assert plan(on_pod(RolloutStep.RESTART, partition=2), fresh, paused=True).rollout.step is RolloutStep.VERIFY


def test_a_mesh_in_which_nothing_works_is_replaced_at_once() -> None:
    dead = tuple(pod_of(f"demo-{n}", "rev-1", ready=False, failure=BROKEN) for n in range(3))
    decision = plan(at(RolloutStep.WAITING), dead)
    assert (decision.rollout.step, decision.rollout.partition, decision.effects) == (RolloutStep.REPLACE, 0, ())
    assert reasons(decision.events) == ["PodsReplaced"]
    lowered = plan(decision.rollout, dead, partition=0)
    assert lowered.effects == tuple(DeletePod(pod.name, pod.uid) for pod in dead)
    recovered = (*dead[:2], replace(dead[2], ready=True, failure=None))
    assert plan(decision.rollout, recovered, partition=0).rollout.partition == 3
    assert plan(decision.rollout, pods(revision="rev-2"), partition=0).rollout.step is RolloutStep.WAITING


def test_a_witness_leads_to_draining_and_draining_to_the_lowered_partition() -> None:
    taken = record_witness(on_pod(RolloutStep.WITNESS), witness_of(), "", ready=True, now=NOW)
    assert (taken.rollout.step, taken.rollout.witness, taken.rollout.partition) == (RolloutStep.DRAIN, witness_of(), 3)
    assert reasons(taken.events) == ["WitnessTaken"]
    draining = plan(taken.rollout, pods())
    assert draining.effects == (DrainPod("demo-2"),)
    lowered = record_drain(draining.rollout, Leftover(5, 7), "", move=False, now=NOW)
    assert (lowered.rollout.step, lowered.rollout.partition) == (RolloutStep.RESTART, 2)
    assert lowered.rollout.witness == witness_of()
    assert reasons(lowered.events) == ["PodRestarting"]


def test_a_node_whose_chats_move_is_restarted_when_nothing_more_moves() -> None:
    draining = record_witness(on_pod(RolloutStep.WITNESS), witness_of(), "", ready=True, now=NOW).rollout

    def drained(rollout: Rollout, sessions: int, chats: int, later_s: float = 0) -> Decision:
        return record_drain(rollout, Leftover(sessions, chats), "", move=True, now=NOW + timedelta(seconds=later_s))

    left = drained(draining, 2, 7)
    assert (left.rollout.step, left.rollout.chats_left, left.recheck_s) == (RolloutStep.DRAIN, 7, POLL_S)
    assert "7 chats have not moved yet" in left.rollout.message
    assert parse_rollout({"rollout": render_rollout(left.rollout)}, 3) == left.rollout
    assert drained(left.rollout, 1, 7).rollout.step is RolloutStep.DRAIN, "an app is still here"
    assert drained(left.rollout, 0, 4).rollout.step is RolloutStep.DRAIN, "some went since"
    for done in (drained(left.rollout, 0, 7), drained(left.rollout, 0, 0), drained(left.rollout, 2, 7, MOVE_WAIT_S + 1)):
        assert (done.rollout.step, done.rollout.partition, done.rollout.chats_left) == (RolloutStep.RESTART, 2, None)
        assert reasons(done.events) == ["ChatsMoved", "PodRestarting"]
    assert "7 stay" in drained(left.rollout, 0, 7).events[0].message
    unheard = record_drain(left.rollout, None, "no answer", move=True, now=NOW)
    assert (unheard.rollout.step, reasons(unheard.events)) == (RolloutStep.RESTART, ["PodRestarting"])


def test_a_ready_node_without_a_witness_is_not_restarted() -> None:
    refused = record_witness(on_pod(RolloutStep.WITNESS), None, "it answered 500", ready=True, now=NOW)
    assert (refused.rollout.step, refused.rollout.partition) == (RolloutStep.WITNESS, 3)
    assert plan(refused.rollout, pods(), after_s=60).effects == (TakeWitness("demo-2"),)
    halted = plan(refused.rollout, pods(), after_s=61)
    assert (halted.rollout.step, halted.outcome) == (RolloutStep.HALTED, "halted")
    assert "it answered 500" in halted.rollout.message


def test_a_node_that_serves_nobody_needs_no_witness() -> None:
    assert record_witness(on_pod(RolloutStep.WITNESS), None, "sealed", ready=False, now=NOW).rollout.step is RolloutStep.RESTART
    failed = pods(pod_of("demo-2", "rev-1", ready=False, failure=SEALED))
    decision = plan(on_pod(RolloutStep.WITNESS), failed)
    assert (decision.rollout.step, decision.rollout.partition) == (RolloutStep.RESTART, 2)
    assert "wrong passphrase" in decision.events[0].message


@pytest.mark.parametrize("step", [RolloutStep.WITNESS, RolloutStep.DRAIN])
@pytest.mark.parametrize("now_is", [None, pod_of("demo-2", "rev-1", uid="new"), pod_of("demo-2", "rev-1", terminating=True)])
def test_a_pod_restarted_by_somebody_else_gives_a_new_witness(step: RolloutStep, now_is: PodView | None) -> None:
    members = pods(now_is) if now_is is not None else pods()[:2]
    if now_is is not None and now_is.terminating:
        members = pods(replace(now_is, uid="demo-2@rev-1"))
    decision = plan(on_pod(step, witness=witness_of()), members)
    assert (decision.rollout.step, decision.rollout.partition, decision.effects) == (RolloutStep.WAITING, 3, ())
    assert now_is is None or decision.rollout.witness is None


@pytest.mark.parametrize(
    "now_is",
    [
        pod_of("demo-2", "rev-1"),
        pod_of("demo-2", "rev-1", uid="new"),
        pod_of("demo-2", "rev-2", uid="demo-2@rev-1"),
        pod_of("demo-2", "rev-2", uid="new", ready=False),
        pod_of("demo-2", "rev-2", uid="new", ready=False, failure=BROKEN),
    ],
    ids=["still the old one", "came back old", "the old one relabelled", "starting", "crashing"],
)
def test_only_a_new_ready_pod_of_the_new_template_is_verified(now_is: PodView) -> None:
    waiting = plan(on_pod(RolloutStep.RESTART, partition=2, witness=witness_of()), pods(now_is), after_s=60)
    assert (waiting.rollout.step, waiting.effects) == (RolloutStep.RESTART, ())
    assert plan(waiting.rollout, pods(now_is), after_s=61).rollout.step is RolloutStep.HALTED


def test_the_new_pod_is_asked_with_the_witness() -> None:
    decision = plan(on_pod(RolloutStep.RESTART, partition=2, witness=witness_of()), pods(pod_of("demo-2", "rev-2")))
    assert decision.rollout.step is RolloutStep.VERIFY
    assert decision.effects == (CheckResume("demo-2", witness_of()),)


def test_a_failure_that_no_further_start_cures_halts_at_once() -> None:
    sealed = pods(pod_of("demo-2", "rev-2", ready=False, failure=SEALED))
    decision = plan(on_pod(RolloutStep.RESTART, partition=2), sealed)
    assert (decision.rollout.step, decision.rollout.partition) == (RolloutStep.HALTED, 2)
    assert "wrong passphrase" in decision.rollout.message
    assert decision.events[0].warning


def test_good_resume_goes_on_to_the_next_pod() -> None:
    proven = record_check(on_pod(RolloutStep.VERIFY, partition=2, witness=witness_of()), GOOD, "", NOW)
    assert proven.rollout == at(RolloutStep.WAITING, partition=2, completed=("demo-2",))
    assert reasons(proven.events) == ["PodResumed"]
    following = plan(proven.rollout, pods(pod_of("demo-2", "rev-2")))
    assert (following.rollout.pod, following.rollout.partition) == ("demo-1", 2)


@pytest.mark.parametrize("verdict", sorted(set(ResumeVerdict) - {ResumeVerdict.RESUMED}))
def test_bad_resume_halts(verdict: ResumeVerdict) -> None:
    decision = record_check(on_pod(RolloutStep.VERIFY, partition=2), ResumeJudgement(verdict, "2 chats"), "", NOW)
    assert (decision.rollout.step, decision.rollout.partition, decision.outcome) == (RolloutStep.HALTED, 2, "halted")
    assert verdict.name in decision.rollout.message


def test_a_node_that_cannot_be_asked_is_asked_until_the_deadline() -> None:
    unasked = record_check(on_pod(RolloutStep.VERIFY, partition=2), None, "connection refused", NOW)
    assert unasked.rollout.step is RolloutStep.VERIFY
    members = pods(pod_of("demo-2", "rev-2"))
    assert plan(unasked.rollout, members, after_s=60).effects
    halted = plan(unasked.rollout, members, after_s=61)
    assert "connection refused" in halted.rollout.message


def test_halted_stays_halted_until_the_template_changes() -> None:
    halted = on_pod(RolloutStep.HALTED, partition=2, message="no")
    assert plan(halted, pods(), after_s=9999) == Decision(halted)
    assert plan(halted, pods(), update_revision="rev-3").rollout.step is RolloutStep.WAITING


def test_the_partition_is_parked_only_after_the_controller_recorded_the_revision() -> None:
    done = at(RolloutStep.WAITING, partition=0, completed=("demo-2", "demo-1", "demo-0"))
    updated = pods(revision="rev-2")
    waiting = plan(done, updated)
    assert (waiting.rollout.step, waiting.rollout.partition) == (RolloutStep.WAITING, 0)
    complete = plan(done, updated, current_revision="rev-2")
    assert (complete.rollout.step, complete.rollout.partition, complete.outcome) == (RolloutStep.IDLE, 3, "completed")
    assert complete.rollout.finished_at == NOW
    unready = plan(done, pods(pod_of("demo-1", "rev-2", ready=False), revision="rev-2"), current_revision="rev-2")
    assert unready.rollout.step is RolloutStep.WAITING


def test_a_pod_that_is_scaled_away_does_not_hold_up_the_rest() -> None:
    rollout = on_pod(RolloutStep.RESTART, partition=2)
    decision = plan(rollout, pods()[:2], replicas=2)
    assert (decision.rollout.step, decision.rollout.partition) == (RolloutStep.WAITING, 2)


def test_the_partition_never_stands_above_the_replicas() -> None:
    assert plan(at(RolloutStep.WAITING, partition=5), pods(pod_of("demo-0", "rev-1", ready=False))).rollout.partition == 3


@pytest.mark.parametrize("step", list(RolloutStep))
def test_state_survives_the_status(step: RolloutStep) -> None:
    rollout = on_pod(step, message="m", completed=("demo-3",), witness=witness_of(), finished_at=NOW)
    assert parse_rollout({"rollout": render_rollout(rollout)}, 3) == rollout
    assert parse_rollout({}, 5) == Rollout(partition=5)


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_whole_rollout(replicas: int) -> None:
    cluster = SimulatedCluster(replicas)
    cluster.change_template("rev-2")
    cluster.run()
    assert cluster.rollout.step is RolloutStep.IDLE
    assert cluster.sts.partition == replicas
    assert cluster.most_down == 1
    names = [f"demo-{n}" for n in reversed(range(replicas))]
    assert cluster.rollout.completed == tuple(names)
    acts = [entry for entry in cluster.log if " " in entry]
    assert acts == [f"{act} {name}" for name in names for act in ("witness", "end")]


@pytest.mark.parametrize("seed", range(30))
def test_operator_that_dies_at_any_point_finishes_the_rollout(seed: int) -> None:
    """Every write and every answer may be lost; no pod goes without a witness, and never two at once."""
    cluster = SimulatedCluster(3)
    cluster.change_template("rev-2")
    cluster.run(steps=400, chance_of_loss=0.3, seed=seed)
    assert cluster.rollout.step is RolloutStep.IDLE
    assert {pod.revision for pod in cluster.pods.values()} == {"rev-2"}
    assert cluster.most_down == 1
    for name in ("demo-2", "demo-1", "demo-0"):
        assert cluster.log.index(f"witness {name}") < cluster.log.index(f"end {name}")


def test_a_bad_template_costs_one_pod_and_a_good_one_heals_it() -> None:
    cluster = SimulatedCluster(3, bad=frozenset({"rev-2"}), max_wait_s=60)
    cluster.change_template("rev-2")
    cluster.run()
    assert str(cluster.rollout.step) == RolloutStep.HALTED
    assert [pod.revision for _, pod in sorted(cluster.pods.items())] == ["rev-1", "rev-1", "rev-2"]
    cluster.change_template("rev-3")
    cluster.run()
    assert cluster.rollout.step is RolloutStep.IDLE
    assert {pod.revision for pod in cluster.pods.values()} == {"rev-3"}
    assert cluster.most_down == 1


def test_going_back_to_the_old_template_heals_as_well() -> None:
    cluster = SimulatedCluster(3, bad=frozenset({"rev-2"}), max_wait_s=60)
    cluster.change_template("rev-2")
    cluster.run()
    cluster.change_template("rev-1")
    cluster.run()
    assert cluster.rollout.step is RolloutStep.IDLE
    assert {pod.revision for pod in cluster.pods.values()} == {"rev-1"}


def test_a_mesh_that_never_worked_is_healed_by_a_good_template() -> None:
    cluster = SimulatedCluster(3, bad=frozenset({"rev-1"}))
    for ordinal in range(3):
        cluster.kill_pod(ordinal)
    cluster.run(20)
    cluster.change_template("rev-2")
    cluster.run()
    assert cluster.rollout.step is RolloutStep.IDLE
    assert all(pod.ready and pod.revision == "rev-2" for pod in cluster.pods.values())


def test_a_bad_resume_leaves_the_other_pods_alone() -> None:
    cluster = SimulatedCluster(3, judge=lambda _: ResumeJudgement(ResumeVerdict.ROLLED_BACK, "older"))
    cluster.change_template("rev-2")
    cluster.run()
    assert cluster.rollout.step is RolloutStep.HALTED
    assert [entry for entry in cluster.log if entry.startswith("end")] == ["end demo-2"]


@pytest.mark.parametrize("seed", range(10))
def test_pods_deleted_in_the_middle_come_back_and_are_still_restarted_verified(seed: int) -> None:
    cluster = SimulatedCluster(3)
    cluster.change_template("rev-2")
    for victim in (0, 2, 1):
        cluster.run(8, seed=seed)
        cluster.kill_pod(victim)
    cluster.run(seed=seed)
    assert cluster.rollout.step is RolloutStep.IDLE
    assert {pod.revision for pod in cluster.pods.values()} == {"rev-2"}


def test_paused_in_the_middle_goes_on_later() -> None:
    cluster = SimulatedCluster(3)
    cluster.change_template("rev-2")
    cluster.run(3)
    cluster.paused = True
    cluster.run()
    assert str(cluster.rollout.step) == RolloutStep.WAITING
    assert len(cluster.rollout.completed) < 3
    cluster.paused = False
    cluster.run()
    assert cluster.rollout.step is RolloutStep.IDLE
