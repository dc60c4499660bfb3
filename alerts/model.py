"""What an alert and a recording rule are here, and how they become rules of Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

RUNBOOKS_URL = "https://hermesmesh.io/docs/runbooks"
"""Where docs/runbooks is published; the chart can point elsewhere."""
GRAFANA_URL = ""
"""Empty: the link is a path, for a notification template that knows the address. The chart can set it."""

THRESHOLD_MARK = "__THRESHOLD__"
RUNBOOKS_MARK = "__RUNBOOKS_URL__"
GRAFANA_MARK = "__GRAFANA_URL__"

# What descriptions are written with.
MESH = "{{ $labels.namespace }}/{{ $labels.mesh }}"
POD = "{{ $labels.namespace }}/{{ $labels.pod }}"
SOME_NODE = "{{ with $labels.pod }}Node {{ . }}{{ else }}A node{{ end }} of mesh " + MESH
VALUE = "{{ $value }}"
COUNT = '{{ printf "%.0f" $value }}'  # an increase is extrapolated and rarely whole
RATE = '{{ printf "%.2f" $value }}'
PERCENT = "{{ $value | humanizePercentage }}"
DURATION = "{{ $value | humanizeDuration }}"

Rule = dict[str, Any]


class Severity(StrEnum):
    """CRITICAL wakes a person; WARNING waits for working hours."""

    CRITICAL = "critical"
    WARNING = "warning"


class DashboardLink(StrEnum):
    """What the dashboard link can preselect, which is what the alert's labels say."""

    NONE = ""
    MESH = "?var-namespace={{ $labels.namespace }}&var-mesh={{ $labels.mesh }}"
    POD = MESH + "&var-pod={{ $labels.pod }}"


@dataclass(frozen=True)
class Threshold:
    """The number in an alert's expression that users may want to change; `meaning` says what it is, with its unit."""

    value: float
    meaning: str

    @property
    def text(self) -> str:
        return f"{self.value:g}" if self.value < 1e6 else str(int(self.value))


@dataclass(frozen=True)
class Alert:
    """One rule. `expr` has THRESHOLD_MARK where the threshold goes; `lasting` is its `for`, `keep` its `keep_firing_for`.

    `variant` tells rules of one name apart in the chart's values and adds nothing to the alert itself.
    """

    name: str
    severity: Severity
    summary: str
    description: str
    expr: str
    threshold: Threshold | None = None
    lasting: str = ""
    keep: str = ""
    link: DashboardLink = DashboardLink.MESH
    labels: dict[str, str] = field(default_factory=dict)
    variant: str = ""

    @property
    def key(self) -> str:
        """Its name in the chart's values."""
        return self.name + self.variant

    def template(self) -> Rule:
        """The rule with marks in place of what the chart can change."""
        rule: Rule = {"alert": self.name, "expr": self.expr}
        if self.lasting:
            rule["for"] = self.lasting
        if self.keep:
            rule["keep_firing_for"] = self.keep
        rule["labels"] = {"severity": self.severity.value, **self.labels}
        rule["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{RUNBOOKS_MARK}/{self.name}.md",
            "dashboard_url": f"{GRAFANA_MARK}/d/hermes-overview{self.link.value}",
        }
        return rule

    def rule(self) -> Rule:
        """The rule as Prometheus takes it."""
        rule = self.template()
        if self.threshold is not None:
            rule["expr"] = rule["expr"].replace(THRESHOLD_MARK, self.threshold.text)
        notes = rule["annotations"]
        notes["runbook_url"] = notes["runbook_url"].replace(RUNBOOKS_MARK, RUNBOOKS_URL)
        notes["dashboard_url"] = notes["dashboard_url"].replace(GRAFANA_MARK, GRAFANA_URL)
        return rule


@dataclass(frozen=True)
class Recording:
    """A recording rule; `name` is level:metric:operation."""

    name: str
    expr: str

    def rule(self) -> Rule:
        return {"record": self.name, "expr": self.expr}


def risen(counter: str, by: str, window: str = "15m") -> str:
    """True where a counter rose within the window, or appeared above 0: a process may count before its first scrape."""
    return (
        f"sum by ({by}) (increase({counter}[{window}])) > 0\nor\nsum by ({by}) ({counter} unless {counter} offset {window}) > 0"
    )
