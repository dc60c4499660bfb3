"""From typed data to Grafana's JSON with grafana-foundation-sdk; ids, ref ids and positions are set here and stay stable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import ascii_uppercase
from typing import assert_never

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from alerts.model import RUNBOOKS_URL
from dashboards.model import GRID_COLUMNS, Annotation, Dashboard, Panel, PanelKind, Variable

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
ALL = models.VariableOption(selected=True, text=["All"], value=["$__all"])
ROW_HEIGHT = 1

PanelBuilder = stat.Panel | timeseries.Panel | table.Panel


def render_json(dashboard: Dashboard) -> str:
    return json.dumps(_build(dashboard), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _build(dashboard: Dashboard) -> models.Dashboard:
    builder = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(list(dashboard.tags))
        .timezone("utc")
        .time("now-3h", "now")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in dashboard.variables:
        builder = builder.with_variable(_variable(variable))
    for annotation in dashboard.annotations:
        builder = builder.annotation(_annotation(annotation))
    for title, url in dashboard.links.items():
        builder = builder.link(_link(title, url))
    for item in _layout(dashboard):
        builder = builder.with_row(item) if isinstance(item, builders.Row) else builder.with_panel(item)
    return builder.build()


def _layout(dashboard: Dashboard) -> Iterator[PanelBuilder | builders.Row]:
    """Rows from top to bottom, panels from left to right; a panel that does not fit begins a new line."""
    identifier, y = 1, 0
    for row in dashboard.rows:
        yield builders.Row(row.title).id(identifier).grid_pos(models.GridPos(h=ROW_HEIGHT, w=GRID_COLUMNS, x=0, y=y))
        identifier, y, x, tallest = identifier + 1, y + ROW_HEIGHT, 0, 0
        for panel in row.panels:
            if x + panel.width > GRID_COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield _panel(panel, identifier, models.GridPos(h=panel.height, w=panel.width, x=x, y=y))
            identifier, x, tallest = identifier + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, identifier: int, position: models.GridPos) -> PanelBuilder:
    builder: PanelBuilder
    match panel.kind:
        case PanelKind.STAT:
            builder = _stat()
        case PanelKind.TABLE:
            builder = _table(panel)
        case PanelKind.LINES:
            builder = _lines(panel)
        case _:
            assert_never(panel.kind)
    builder.id(identifier).grid_pos(position).title(panel.title).description(panel.description).datasource(DATASOURCE)
    builder.unit(panel.unit.value).thresholds(_thresholds(panel))
    if panel.decimals is not None:
        builder.decimals(panel.decimals)
    if panel.minimum is not None:
        builder.min(panel.minimum)
    if panel.maximum is not None:
        builder.max(panel.maximum)
    if panel.alert:
        builder.links([_link(f"Runbook {panel.alert}", f"{RUNBOOKS_URL}/{panel.alert}.md")])
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        builder.with_target(_target(letter, query.expr, query.legend or "__auto", panel.kind))
    return builder


def _target(letter: str, expr: str, legend: str, kind: PanelKind) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(expr).legend_format(legend).datasource(DATASOURCE)
    if kind is PanelKind.TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    return target.range()


def _stat() -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
    )


def _lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common_builders.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    builder = timeseries.Panel().legend(legend).tooltip(tooltip).line_width(1).fill_opacity(10)
    builder = builder.show_points(common.VisibilityMode.NEVER)
    if panel.stacked:
        builder = builder.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL)).fill_opacity(30)
    return builder


def _table(panel: Panel) -> table.Panel:
    """One line for each set of labels: the queries' results merged, columns named and put in order."""
    named = {column.source: column.title for column in panel.columns}
    hidden = {"Time": True} | {
        source: True
        for letter, _ in zip(ascii_uppercase, panel.queries, strict=False)
        if (source := f"Value #{letter}") not in named
    }
    order = {column.source: index for index, column in enumerate(panel.columns)}
    builder = (
        table.Panel()
        .show_header(show_header=True)
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize", options={"excludeByName": hidden, "renameByName": named, "indexByName": order}
            )
        )
    )
    for column in panel.columns:
        if column.unit is not None:
            unit = [models.DynamicConfigValue(id_val="unit", value=column.unit.value)]
            builder = builder.override_by_name(column.title, unit)
    return builder


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    steps = [models.Threshold(value=step.value, color=step.color) for step in panel.steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _variable(variable: Variable) -> builders.QueryVariable:
    return (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .query({"query": variable.values, "refId": variable.name})
        .definition(variable.values)
        .datasource(DATASOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(ALL)
    )


def _annotation(annotation: Annotation) -> builders.AnnotationQuery:
    query = (
        builders.AnnotationQuery()
        .name(annotation.name)
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(annotation.color)
        .expr(annotation.expr)
        .title_format(annotation.name)
        .text_format(annotation.text)
    )
    return query.use_value_for_time(use_value_for_time=True) if annotation.at_value else query


def _link(title: str, url: str) -> builders.DashboardLink:
    return builders.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).target_blank(target_blank=True)
