"""A StatefulSet controller and its nodes in memory, as slow and as unreliable as a test asks, driven by the rollout machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hermes_core.keystore.witness_verdict import ResumeJudgement, ResumeVerdict
from hermes_operator.nodes.departure import Leftover
from hermes_operator.observe.failures import NodeFailure
from hermes_operator.observe.observed import PodView, StatefulSetView
from hermes_operator.rollout.answers import record_check, record_drain, record_witness
from hermes_operator.rollout.machine import plan_rollout
from hermes_operator.rollout.rollout_input import RolloutInput
from hermes_operator.rollout.state import (
    CheckResume,
    Decision,
    DeletePod,
    DrainPod,
    Effect,
    MoveAway,
    Rollout,
    TakeWitness,
    parse_rollout,
    render_rollout,
)
from tests.unit.hermes_operator.operator_samples import NOW, pod_of, statefulset_of, witness_of

GOOD = ResumeJudgement(ResumeVerdict.RESUMED, "7 chats resumed")
PULL_FAILED = NodeFailure("ImagePullFailed", "no such image")


@dataclass
class SimulatedCluster:
    """`bad`: revisions whose pods never become ready. `judge`: what a restarted node's resume comes to."""

    replicas: int = 3
    bad: frozenset[str] = frozenset()
    judge: Callable[[str], ResumeJudgement] = lambda _: GOOD
    paused: bool = False
    max_wait_s: float = 600
    now: datetime = NOW
    pods: dict[int, PodView] = field(default_factory=dict)
    sts: StatefulSetView = field(default_factory=statefulset_of)
    status: dict[str, object] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    most_down: int = 0
    born: int = 0

    def __post_init__(self) -> None:
        self.sts = statefulset_of(replicas=self.replicas, partition=self.replicas, update_revision="rev-1")
        self.pods = {n: pod_of(f"demo-{n}", "rev-1") for n in range(self.replicas)}

    @property
    def rollout(self) -> Rollout:
        return parse_rollout(self.status, self.replicas)

    def change_template(self, revision: str) -> None:
        """As the plan does: a new template and a parked partition in one apply."""
        from hermes_operator.rollout.machine import begin_rollout

        self.take(begin_rollout(self.rollout, self.replicas, f"to {revision}", self.now))
        self.sts = replace(self.sts, update_revision=revision, partition=self.replicas)

    def take(self, decision: Decision) -> None:
        """Store a decision; only what the status can hold survives."""
        self.status = {"rollout": render_rollout(decision.rollout)}
        self.log += [event.reason for event in decision.events]

    def step_operator(self, lose: Callable[[], bool] = lambda: False) -> Decision:
        """One pass; with `lose` the operator dies at one of the points where it can."""
        seen = RolloutInput(self.sts, tuple(self.pods[n] for n in sorted(self.pods)), self.paused, self.max_wait_s)
        decision = plan_rollout(self.rollout, seen, self.now)
        if lose():
            return decision  # died before the state was stored
        self.take(decision)
        if lose():
            return decision  # died before the partition was applied
        self.sts = replace(self.sts, partition=decision.rollout.partition)
        for effect in decision.effects:
            after = self._run(effect)
            if after is not None and not lose():
                self.take(after)
        return decision

    def _run(self, effect: Effect) -> Decision | None:
        assert not isinstance(effect, MoveAway)  # it is the plan of the whole mesh that scales down
        pod = self.pods.get(int(effect.pod.rpartition("-")[2]))
        if isinstance(effect, DeletePod):
            if pod is not None and pod.uid == effect.uid:
                del self.pods[pod.ordinal]
            return None
        if pod is None:
            return None
        match effect:
            case TakeWitness():
                self.log.append(f"witness {effect.pod}")
                return record_witness(self.rollout, witness_of(effect.pod), "", ready=pod.ready, now=self.now)
            case DrainPod():
                return record_drain(self.rollout, Leftover(0, 0), "", move=effect.move, now=self.now)
            case CheckResume():
                return record_check(self.rollout, self.judge(effect.pod), "", self.now)

    def step_controller(self) -> None:
        """One pass of the StatefulSet controller and of the kubelets."""
        self.now += timedelta(seconds=5)
        for ordinal in range(self.replicas):
            if ordinal not in self.pods:
                self._create(ordinal)
        for ordinal, pod in list(self.pods.items()):
            if pod.terminating:
                del self.pods[ordinal]
            elif not pod.ready:
                self.pods[ordinal] = self._start(pod)
        self._replace_highest()
        members = list(self.pods.values())
        if len(members) == self.replicas and all(p.ready and p.revision == self.sts.update_revision for p in members):
            self.sts = replace(self.sts, current_revision=self.sts.update_revision)
        self.most_down = max(self.most_down, self.replicas - sum(pod.ready for pod in members))

    def _create(self, ordinal: int) -> None:
        revision = self.sts.update_revision if ordinal >= self.sts.partition else self.sts.current_revision
        self.born += 1
        self.pods[ordinal] = pod_of(f"demo-{ordinal}", revision, uid=f"uid-{self.born}", ready=False, running=False)

    def _start(self, pod: PodView) -> PodView:
        if pod.revision in self.bad:
            return replace(pod, failure=PULL_FAILED)
        return replace(pod, ready=True, running=True)

    def _replace_highest(self) -> None:
        for ordinal in range(self.replicas - 1, self.sts.partition - 1, -1):
            pod = self.pods.get(ordinal)
            if pod is None:
                return
            if pod.revision != self.sts.update_revision:
                self.log.append(f"end {pod.name}")
                self.pods[ordinal] = replace(pod, terminating=True, ready=False, running=False)
                return
            if not pod.ready:
                return

    def kill_pod(self, ordinal: int) -> None:
        self.pods.pop(ordinal, None)

    def run(self, steps: int = 200, chance_of_loss: float = 0.0, seed: int = 0) -> None:
        source = random.Random(seed)
        for _ in range(steps):
            self.step_operator(lambda: source.random() < chance_of_loss)
            if source.random() < 0.7:
                self.step_controller()
