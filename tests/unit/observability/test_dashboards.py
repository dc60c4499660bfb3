"""Dashboards: every query parses and asks for what exists, every panel says what it shows, in which unit."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import promql_parser
import pytest

from alerts.catalogue import NAMES
from dashboards.model import Dashboard, Panel
from dashboards.overview import DASHBOARDS
from tests.unit.observability.known_series import Known, complaints, known_series
from tools import dashboard_queries, generate_dashboards
from tools.generated_files import ROOT

Json = dict[str, Any]
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for row in dashboard.rows for panel in row.panels]
each_panel = pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda v: getattr(v, "title", None))


@pytest.fixture(scope="module")
def known() -> Known:
    return known_series()


@pytest.fixture(scope="module")
def overview() -> Json:
    document: Json = json.loads((ROOT / "dashboards/hermes-overview.json").read_text())
    return document


def test_committed_files_are_what_the_source_says() -> None:
    for name, text in generate_dashboards.render().items():
        assert (ROOT / name).read_text() == text, f"{name} is stale: make generate"


@each_panel
def test_queries_parse_and_ask_for_what_exists(dashboard: Dashboard, panel: Panel, known: Known) -> None:
    for query in panel.queries:
        expr = dashboard_queries.substitute(query.expr)
        promql_parser.parse(expr)
        assert "$" not in expr
        assert complaints(expr, known) == []


@each_panel
def test_panel_is_described(dashboard: Dashboard, panel: Panel) -> None:
    assert panel.description.endswith(".")
    assert len(panel.description) > 10
    assert panel.unit
    assert not panel.alert or panel.alert in NAMES


@each_panel
def test_queries_follow_the_chosen_mesh(dashboard: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        assert 'mesh=~"$mesh"' in query.expr or 'job="hermes-operator"' in query.expr


@each_panel
def test_rates_follow_the_scrape_interval(dashboard: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        assert "rate(" not in query.expr or "[$__rate_interval]" in query.expr or ":ratio_rate" in query.expr


def test_annotations_parse(known: Known) -> None:
    marks = [query for query in dashboard_queries.queries(annotations=True) if query.annotation]
    assert {query.panel for query in marks} == {"Node starts", "Rollouts", "Alerts"}
    for query in marks:
        assert complaints(query.expr, known) == []


def test_identifiers(overview: Json) -> None:
    assert overview["uid"] == "hermes-overview"
    assert overview["timezone"] == "utc"
    assert overview["refresh"] == "1m"
    ids = [panel["id"] for panel in overview["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard_queries.panels_of(overview):
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted(set(refs))
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_variables(overview: Json) -> None:
    variables = {variable["name"]: variable for variable in overview["templating"]["list"]}
    assert list(variables) == ["datasource", "namespace", "mesh", "pod"]
    assert variables["datasource"]["type"] == "datasource"
    assert all(variables[name]["includeAll"] and variables[name]["multi"] for name in ("namespace", "mesh", "pod"))


def test_panels_do_not_overlap(overview: Json) -> None:
    def cells(panel: Json) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    for one, other in combinations(overview["panels"], 2):
        assert not cells(one) & cells(other), f"{one['title']} and {other['title']}"


def test_every_panel_has_a_unit_and_a_legend(overview: Json) -> None:
    for panel in dashboard_queries.panels_of(overview):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"] is True


def test_the_list_of_queries_is_what_the_panels_ask() -> None:
    listed = list(dashboard_queries.queries(namespace="chat", mesh="a", pod="a-0", rate_interval="5s"))
    assert len(listed) == sum(len(panel.queries) for _, panel in PANELS)
    assert any('namespace=~"chat",mesh=~"a",pod=~"a-0"' in query.expr and "[5s]" in query.expr for query in listed)
    table = [query for query in listed if query.instant]
    assert {query.panel for query in table} == {"Nodes"}
