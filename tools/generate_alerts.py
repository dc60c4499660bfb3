"""What is made from `alerts`: the rules for Prometheus, the chart's source of them, and docs/reference/alerts.md."""

from __future__ import annotations

import sys

from alerts import cases_calm, cases_crypto, cases_handshakes, cases_members, cases_mesh, cases_operator
from alerts.cases import Case
from alerts.cases_calm import Calm
from alerts.catalogue import ALERTS, RECORDINGS
from alerts.model import Alert, Rule
from tools.generated_files import Files, run
from tools.yaml_text import dump_yaml

RULES = "alerts/hermes.rules.yaml"
TESTS = "alerts/hermes.test.yaml"
CHART_SOURCE = "charts/hermes-operator/files/alerts.yaml"
PAGE = "docs/reference/alerts.md"

_MADE_BY = "# Made by `python -m tools.generate_alerts` from the definitions in alerts/; do not edit.\n"

_CHART_HEAD = (
    _MADE_BY
    + """# The chart's PrometheusRule goes over `alerts`: `key` is the name in values (monitoring.rules.alerts), `threshold` the
# default for the mark __THRESHOLD__ in `rule.expr`; __RUNBOOKS_URL__ and __GRAFANA_URL__ come from values as well.
"""
)

_PAGE_HEAD = """# Alerts

Made by `python -m tools.generate_alerts` from the definitions in `alerts`. Prometheus takes
[alerts/hermes.rules.yaml](../../alerts/hermes.rules.yaml); the chart installs the same as a PrometheusRule. Each one can be
tuned by its key in the chart's values, for example:

```yaml
monitoring:
  rules:
    alerts:
      HermesMeshDegraded: {enabled: true, for: 30m, severity: critical, threshold: 1}
```

*critical* wakes a person, *warning* waits for working hours. A normal rolling restart, or one node that is killed and comes
back, fires nothing. How to mute what follows from something else:
[alerts/alertmanager.example.yaml](../../alerts/alertmanager.example.yaml).

| alert | key | severity | for | keeps firing | threshold |
| --- | --- | --- | --- | --- | --- |
"""


CASES = cases_mesh.CASES + cases_members.CASES + cases_handshakes.CASES + cases_crypto.CASES + cases_operator.CASES


def rules_file() -> dict[str, list[Rule]]:
    return {
        "groups": [
            {"name": "hermes.recording", "rules": [recording.rule() for recording in RECORDINGS]},
            {"name": "hermes.alerts", "rules": [alert.rule() for alert in ALERTS]},
        ]
    }


def chart_source() -> dict[str, object]:
    return {"recordings": [recording.rule() for recording in RECORDINGS], "alerts": [_chart_entry(alert) for alert in ALERTS]}


def promtool_document(cases: tuple[Case | Calm, ...], rules: str) -> dict[str, object]:
    """What `promtool test rules` takes."""
    # Without an order, promtool evaluates alerts sometimes before and sometimes after what is recorded in the same minute.
    order = [group["name"] for group in rules_file()["groups"]]
    return {
        "rule_files": [rules],
        "group_eval_order": order,
        "evaluation_interval": "1m",
        "tests": [case.document() for case in cases],
    }


def render() -> Files:
    return {
        RULES: _MADE_BY + dump_yaml(rules_file()),
        TESTS: _MADE_BY + dump_yaml(promtool_document((*cases_calm.CASES, *CASES), "hermes.rules.yaml")),
        CHART_SOURCE: _CHART_HEAD + dump_yaml(chart_source()),
        PAGE: _PAGE_HEAD + "".join(_row(alert) for alert in ALERTS) + _meanings(),
    }


def _chart_entry(alert: Alert) -> dict[str, object]:
    entry: dict[str, object] = {"key": alert.key}
    if alert.threshold is not None:
        entry["threshold"] = alert.threshold.text
    return entry | {"rule": alert.template()}


def _row(alert: Alert) -> str:
    threshold = f"{alert.threshold.text}: {alert.threshold.meaning}" if alert.threshold else ""
    cells = (
        f"[{alert.name}](../runbooks/{alert.name}.md)",
        f"`{alert.key}`",
        alert.severity.value,
        alert.lasting or "at once",
        alert.keep,
        threshold,
    )
    return f"| {' | '.join(cells)} |\n"


def _meanings() -> str:
    parts = []
    seen = set()
    for alert in ALERTS:
        if alert.name in seen:
            continue
        seen.add(alert.name)
        parts.append(f"\n## {alert.name}\n{alert.summary}\n\n```promql\n{alert.rule()['expr']}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(run(render))
