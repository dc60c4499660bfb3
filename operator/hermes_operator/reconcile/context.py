"""What every pass is given from outside: none of it belongs to one mesh, and no pass changes it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from hermes_operator.kube.api import Kube
from hermes_operator.kube.event_recorder import EventRecorder
from hermes_operator.kube.served_apis import ServedApis
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient


@dataclass(frozen=True, slots=True)
class PassDurations:
    """When to look again although nothing happened."""

    problem_recheck_s: float = 10.0  # at what only a person can cure: no watch tells of a foreign Secret
    report_retry_s: float = 3.0  # at a node that did not answer


@dataclass(frozen=True, slots=True)
class PassContext:
    """The outside world of a pass; tests give their own clock and servers."""

    api: Kube
    served: ServedApis
    nodes: NodeClient
    recorder: EventRecorder
    metrics: OperatorMetrics
    cluster_domain: str
    clock: Callable[[], datetime]
    log: logging.Logger
    durations: PassDurations = field(default_factory=PassDurations)
