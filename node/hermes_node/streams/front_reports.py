"""What fronts report, as events of the log and as metrics."""

from __future__ import annotations

from hermes_front.link.payloads import FrontHello, Told
from hermes_front.owner.reports import EndReason, FrontEnded
from hermes_h2.events import Refusal
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics


class FrontReports:
    def __init__(self, metrics: NodeMetrics, log: EventLog) -> None:
        self._metrics = metrics
        self._log = log

    def started(self, front: int, pid: int, hello: FrontHello) -> None:
        kept = {"confined": hello.confined, "landlock": hello.landlock, "no_tcp": hello.no_tcp, "no_signals": hello.no_signals}
        self._log.info("front_started", front=front, pid=pid, **kept)

    def ended(self, report: FrontEnded) -> None:
        self._metrics.fronts.count_ended(report.reason)
        fields = {"front": report.front, "reason": report.reason.value, "detail": report.detail, "streams": report.streams}
        if report.reason is EndReason.STOPPED:
            self._log.info("front_ended", **fields)
        else:
            self._log.warning("front_ended", again_in_s=report.again_in_s, **fields)

    def told(self, told: Told) -> None:
        self._log.info("app_connection_refused", kind=told.refusal.value, address=told.host, detail=told.detail)

    def count_refused(self, refusal: Refusal, count: int) -> None:
        self._metrics.sessions.count_refused_connection(refusal, count)

    def failed(self, what: str, *, of_system: bool) -> None:
        if of_system:
            self._log.warning("system_fault", reason=what, message="in a front")
        else:
            self._log.error("unexpected_error", where="front", exception=what)

    def defect(self, error: Exception) -> None:
        self._log.error("unexpected_error", where="app transport", exception=type(error).__name__)
