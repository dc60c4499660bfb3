"""What ordinary life looks like: a rolling restart and one killed node, in which no alert at all may fire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alerts.cases import M
from alerts.catalogue import NAMES
from alerts.mesh import DAY_S

LENGTH = 120
NODES = 3


@dataclass(frozen=True)
class Away:
    """A node that is away from one minute to another; back as another pod, or as another process of the same."""

    node: int
    since: int
    until: int
    same_pod: bool = False


@dataclass(frozen=True)
class Calm:
    """A mesh of three under load, with nodes away for a while; nothing fires at any of these times."""

    name: str
    away: tuple[Away, ...]
    rollout: tuple[int, int] | None = None
    times: tuple[str, ...] = ("6m", "21m", "25m", "29m", "32m", "34m", "36m", "45m", "60m", "110m")

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "interval": "1m",
            "input_series": [{"series": series, "values": " ".join(values)} for series, values in self._series()],
            "alert_rule_test": [
                {"eval_time": time, "alertname": name, "exp_alerts": []} for name in NAMES for time in self.times
            ],
        }

    def _series(self) -> Iterator[tuple[str, list[str]]]:
        minutes = range(LENGTH)
        absent = [sum(a.since <= minute < a.until for a in self.away) for minute in minutes]
        yield f"hermes_operator_mesh_desired_replicas{{{M}}}", [str(NODES)] * LENGTH
        yield f"hermes_operator_mesh_ready_replicas{{{M}}}", [str(NODES - gone) for gone in absent]
        yield f'hermes_operator_mesh_condition{{{M},condition="KeystoresSealed",status="True"}}', ["0"] * LENGTH
        yield f'hermes_operator_mesh_condition{{{M},condition="RolloutPaused",status="True"}}', ["0"] * LENGTH
        yield f'hermes_operator_rollouts_total{{{M},result="halted"}}', ["0"] * LENGTH
        yield f'hermes_operator_resume_checks_total{{{M},check="rollout",result="fail"}}', ["0"] * LENGTH
        returned = [str(sum(a.until <= minute for a in self.away)) for minute in minutes]
        yield f'hermes_operator_resume_checks_total{{{M},check="rollout",result="pass"}}', returned
        yield 'up{job="hermes-operator",pod="o-0"}', ["1"] * LENGTH
        yield 'hermes_operator_leader{job="hermes-operator",pod="o-0"}', ["1"] * LENGTH
        yield 'hermes_operator_reconcile_total{job="hermes-operator",result="ok"}', [str(2 * m) for m in minutes]
        yield 'hermes_operator_reconcile_total{job="hermes-operator",result="error"}', ["0"] * LENGTH
        if self.rollout is not None:
            began, ended = self.rollout
            running = [str(began * 60) if began <= minute < ended else "_" for minute in minutes]
            yield f"hermes_operator_rollout_in_progress_since_timestamp_seconds{{{M}}}", running
        for node in range(NODES):
            yield from self._node(node)

    def _node(self, node: int) -> Iterator[tuple[str, list[str]]]:
        """Its processes one after the other; between them Prometheus finds nobody."""
        lives, born, address = [], 0, 0
        for gap in (gap for gap in self.away if gap.node == node):
            lives.append((born, gap.since, address))
            born, address = gap.until, address + (not gap.same_pod)
        lives.append((born, LENGTH, address))
        alive = [any(start <= minute < end for start, end, _ in lives) for minute in range(LENGTH)]
        who = f'{M},pod="a-{node}"'
        yield f'up{{job="hermes-node",{who}}}', ["1" if up else "0" for up in alive]
        for used in range(address + 1):
            yield f'process_start_time_seconds{{job="hermes-node",{who},instance="{used}"}}', _starts(lives, used)
        for name, at_start, per_minute in _NODE_SERIES:
            yield f"{name.replace('WHO', who)}", _life(lives, at_start, per_minute)


# (series, value at a process's first scrape, growth a minute); the first minute of a process resumes its chats.
_NODE_SERIES = (
    ("hermes_keystore_sealed{WHO}", 0, 0),
    ('hermes_mesh_members{WHO,state="alive"}', NODES, 0),
    ("hermes_mesh_members_unreached{WHO}", 0, 0),
    ("hermes_mesh_local_health{WHO}", 1, 0),
    ("hermes_mesh_refutations_total{WHO}", 1, 0),
    ('hermes_mesh_lies_total{WHO,lie="accusations"}', 0, 0),
    ('hermes_mesh_look_ups_total{WHO,result="found"}', 0, 30),
    ('hermes_mesh_look_ups_total{WHO,result="unanswered"}', 5, 0),
    ('hermes_keystore_rollback_total{WHO,kind="peer"}', 0, 0),
    ('hermes_keystore_tamper_total{WHO,kind="record"}', 0, 0),
    ('hermes_handshakes_total{WHO,role="initiator",result="ok",reason="none"}', 0, 60),
    ('hermes_handshakes_total{WHO,role="initiator",result="failed",reason="ROUTE_UNAVAILABLE"}', 2, 0),
    ('hermes_ratchet_advances_total{WHO,channel="leg"}', 0, 6000),
    ('hermes_ratchet_failures_total{WHO,channel="leg",reason="authentication"}', 0, 0),
    ('hermes_replay_rejections_total{WHO,kind="frame"}', 1, 0),
    ('hermes_resumes_total{WHO,result="resumed"}', 200, 0),
    ('hermes_resumes_total{WHO,result="desync"}', 1, 0),
    ('hermes_event_loop_lag_seconds_bucket{WHO,le="0.25"}', 0, 120),
    ('hermes_event_loop_lag_seconds_bucket{WHO,le="+Inf"}', 0, 120),
    ('hermes_tls_certificate_not_after_timestamp_seconds{WHO,kind="mesh"}', 31 * DAY_S, 0),
)


def _starts(lives: list[tuple[int, int, int]], used: int) -> list[str]:
    values = ["_"] * LENGTH
    for start, end, address in lives:
        if address == used:
            values[start:end] = [str(1000 + start * 60)] * (end - start)
    return values


def _life(lives: list[tuple[int, int, int]], at_start: int, per_minute: int) -> list[str]:
    values = ["_"] * LENGTH
    for start, end, _ in lives:
        values[start:end] = [str(at_start + per_minute * age) for age in range(end - start)]
    return values


CASES = (
    Calm(
        "a rolling restart of three nodes, each away for two minutes",
        (Away(2, 20, 22), Away(1, 24, 26), Away(0, 28, 30)),
        rollout=(19, 31),
    ),
    Calm("a node that is killed and back within two minutes", (Away(1, 30, 32, same_pod=True),)),
    Calm("a node that is evicted and back on another machine in five", (Away(1, 30, 35),)),
)
