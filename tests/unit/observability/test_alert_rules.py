"""Alert rules speak of series that exist, carry what a person needs at night, and each has tests of all three kinds."""

from __future__ import annotations

import re

import pytest
import yaml

from alerts.catalogue import ALERTS, NAMES, RECORDINGS
from alerts.model import GRAFANA_MARK, GRAFANA_URL, RUNBOOKS_MARK, RUNBOOKS_URL, THRESHOLD_MARK, Alert, DashboardLink, Severity
from tests.unit.observability.known_series import Known, complaints, known_series
from tools import generate_alerts
from tools.generated_files import ROOT

DEMANDED = {
    "HermesMeshDown",
    "HermesMeshDegraded",
    "HermesMetricsAbsent",
    "HermesKeystoreSealed",
    "HermesKeystoreRollbackDetected",
    "HermesKeystoreTampered",
    "HermesResumeCheckFailed",
    "HermesResumeDesyncHigh",
    "HermesReplayRejectionsHigh",
    "HermesHandshakeFailureRatioHigh",
    "HermesRolloutStuck",
    "HermesRolloutHalted",
    "HermesNodeRestarting",
    "HermesCertificateExpiring",
    "HermesOperatorDown",
    "HermesRatchetFailuresHigh",
}
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.key)


@pytest.fixture(scope="module")
def known() -> Known:
    return known_series()


def test_the_demanded_alerts_are_there() -> None:
    assert set(NAMES) >= DEMANDED


def test_keys_are_unique() -> None:
    keys = [alert.key for alert in ALERTS]
    assert len(keys) == len(set(keys))


def test_committed_files_are_what_the_source_says() -> None:
    for name, text in generate_alerts.render().items():
        assert (ROOT / name).read_text() == text, f"{name} is stale: make generate"


@each_alert
def test_expression_speaks_of_what_exists(alert: Alert, known: Known) -> None:
    assert complaints(alert.rule()["expr"], known) == []


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recording(recording: object, known: Known) -> None:
    rule = recording.rule()  # type: ignore[attr-defined]
    assert complaints(rule["expr"], known) == []
    assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])


def test_a_wrong_expression_is_noticed(known: Known) -> None:
    assert complaints("hermes_no_such_thing > 0", known) == ["no such series: hermes_no_such_thing"]
    assert complaints('hermes_resumes_total{outcome="desync"}', known) == ["hermes_resumes_total has no label outcome"]
    assert complaints('hermes_resumes_total{result="desynced"}', known) == ["hermes_resumes_total never has result=desynced"]
    wrong_by = "sum by (namespace, chat) (hermes_resumes_total)"
    assert complaints(wrong_by, known) == ["no series in this expression has the label chat"]


@each_alert
def test_alert_tells_what_a_person_needs(alert: Alert) -> None:
    rule = alert.rule()
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in set(Severity)
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"], "summaries are the same for all that is grouped"
    assert "$value" in notes["description"], "the live value"
    assert notes["runbook_url"] == f"{RUNBOOKS_URL}/{alert.name}.md"
    assert notes["dashboard_url"].startswith(f"{GRAFANA_URL}/d/hermes-overview")
    assert "__" not in str(rule).replace("__auto", ""), "every mark is filled in"


@each_alert
def test_alert_waits_or_stays(alert: Alert) -> None:
    """A condition that may come and go in a restart waits; one that is counted once stays long enough to be seen."""
    if "restarts" not in (alert.threshold.meaning if alert.threshold else ""):
        assert alert.lasting or alert.keep


@each_alert
def test_links_use_labels_that_the_alert_has(alert: Alert) -> None:
    by = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", alert.expr))))
    needed = {
        DashboardLink.NONE: set(),
        DashboardLink.MESH: {"namespace", "mesh"},
        DashboardLink.POD: {"namespace", "mesh", "pod"},
    }[alert.link]
    if not alert.expr.startswith("namespace_mesh:"):
        assert needed <= by


@each_alert
def test_threshold_is_where_it_can_be_changed(alert: Alert) -> None:
    assert (THRESHOLD_MARK in alert.expr) == (alert.threshold is not None)


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_shown_to_fire_not_to_fire_and_to_resolve(name: str) -> None:
    cases = [case for case in generate_alerts.CASES if case.alert == name]
    assert any(check.firing for case in cases for check in case.checks), "fires"
    assert any(not any(check.firing for check in case.checks) for case in cases), "does not fire below"
    ends = [[bool(check.firing) for check in case.checks] for case in cases]
    if name != "HermesHandshakeFailureRatioHigh":  # its short windows have cases of their own
        assert any(True in fired and not fired[-1] for fired in ends), "resolves"
    assert any(fired[0] is False and True in fired for fired in ends), "waits"


def test_the_chart_gets_the_same_rules() -> None:
    source = yaml.safe_load((ROOT / generate_alerts.CHART_SOURCE).read_text())
    rules = []
    for entry in source["alerts"]:
        rule = entry["rule"]
        rule["expr"] = rule["expr"].replace(THRESHOLD_MARK, entry.get("threshold", ""))
        notes = rule["annotations"]
        for note, text in notes.items():
            notes[note] = text.replace(RUNBOOKS_MARK, RUNBOOKS_URL).replace(GRAFANA_MARK, GRAFANA_URL)
        rules.append(rule)
    groups = yaml.safe_load((ROOT / generate_alerts.RULES).read_text())["groups"]
    assert source["recordings"] == groups[0]["rules"]
    assert rules == groups[1]["rules"]


def test_inhibitions_name_alerts_that_exist() -> None:
    config = yaml.safe_load((ROOT / "alerts/alertmanager.example.yaml").read_text())
    matchers = [m for rule in config["inhibit_rules"] for side in ("source_matchers", "target_matchers") for m in rule[side]]
    named = {name for m in matchers for name in re.findall(r"Hermes\w+", m) if name != "Hermes"}
    assert named
    assert named <= set(NAMES)
