"""Unit tests of alerts as typed data: `python -m tools.generate_alerts` writes them as promtool's alerts/hermes.test.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alerts.catalogue import ALERTS
from alerts.model import GRAFANA_URL, RUNBOOKS_URL, Alert, DashboardLink

M = 'namespace="chat",mesh="a"'
MESH = {"namespace": "chat", "mesh": "a"}
POD = {**MESH, "pod": "a-0"}
_MINUTES = {"m": 1, "h": 60}


@dataclass(frozen=True)
class Firing:
    """One alert as it reaches Alertmanager. `description` is spelt out: it proves the live value."""

    severity: str
    description: str
    labels: dict[str, str] = field(default_factory=lambda: dict(MESH))


@dataclass(frozen=True)
class At:
    """What fires `at` this time after the start; nothing, when `firing` is empty."""

    at: str
    firing: tuple[Firing, ...] = ()


@dataclass(frozen=True)
class Case:
    """Series (promtool's notation, one value a minute) and what follows.

    Times keep two steps away from any boundary of a range: Prometheus 2 counts its left end in and 3 does not.
    """

    name: str
    alert: str
    series: dict[str, str]
    checks: tuple[At, ...]

    @property
    def minutes(self) -> int:
        """How long the test runs, in its own time."""
        return max(int(check.at[:-1]) * _MINUTES[check.at[-1]] for check in self.checks)

    def document(self) -> dict[str, Any]:
        return {
            "name": f"{self.alert}: {self.name}",
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in self.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": check.at,
                    "alertname": self.alert,
                    "exp_alerts": [self._expected(firing) for firing in check.firing],
                }
                for check in self.checks
            ],
        }

    def _expected(self, firing: Firing) -> dict[str, Any]:
        rule = self._rule(firing)
        return {
            "exp_labels": {"severity": firing.severity, **firing.labels},
            "exp_annotations": {
                "summary": rule.summary,
                "description": firing.description,
                "runbook_url": f"{RUNBOOKS_URL}/{self.alert}.md",
                "dashboard_url": f"{GRAFANA_URL}/d/hermes-overview{_link(rule.link, firing.labels)}",
            },
        }

    def _rule(self, firing: Firing) -> Alert:
        found = (
            rule
            for rule in ALERTS
            if rule.name == self.alert and rule.severity == firing.severity and rule.labels.items() <= firing.labels.items()
        )
        return next(found)


def _link(link: DashboardLink, labels: dict[str, str]) -> str:
    if link is DashboardLink.NONE:
        return ""
    names = ("namespace", "mesh", "pod") if link is DashboardLink.POD else ("namespace", "mesh")
    return "?" + "&".join(f"var-{name}={labels.get(name, '')}" for name in names)


def never(name: str, alert: str, series: dict[str, str], *times: str) -> Case:
    """A case in which the alert must not fire at any of these times."""
    return Case(name, alert, series, tuple(At(time) for time in times))
