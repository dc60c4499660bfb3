"""What a dashboard is here: rows of panels, each with its queries, unit, description and the runbook it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

GRID_COLUMNS = 24

MESH = 'namespace=~"$namespace",mesh=~"$mesh"'
POD = MESH + ',pod=~"$pod"'
RATE = "[$__rate_interval]"


class PanelKind(StrEnum):
    STAT = "stat"
    LINES = "timeseries"
    TABLE = "table"


class Unit(StrEnum):
    """Grafana's names of units."""

    NUMBER = "short"
    SHARE = "percentunit"
    SECONDS = "s"
    BYTES = "bytes"
    PER_SECOND = "ops"
    BOOLEAN = "bool_yes_no"
    CORES = "cores"


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True)
class ColorStep:
    """From this value on a stat or line has this colour; None: from the start."""

    value: float | None
    color: str


GOOD_WHEN_ZERO = (ColorStep(None, "green"), ColorStep(1, "red"))
NEUTRAL = (ColorStep(None, "blue"),)
PLAIN = (ColorStep(None, "green"),)


@dataclass(frozen=True)
class Column:
    """A column of a table: the query's number or a label, and what it is called."""

    source: str
    title: str
    unit: Unit | None = None


@dataclass(frozen=True)
class Panel:
    """`alert` names the runbook a reader goes to from here. `width` in 24ths of the page, `height` in grid units of 30 px."""

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: PanelKind = PanelKind.LINES
    unit: Unit = Unit.NUMBER
    steps: tuple[ColorStep, ...] = PLAIN
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    alert: str = ""
    width: int = 8
    height: int = 8
    stacked: bool = False
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class PanelRow:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Annotation:
    """Marks on every panel; with `at_value` the series' value is the time, in milliseconds."""

    name: str
    expr: str
    color: str
    text: str
    at_value: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the page, read from a metric's label."""

    name: str
    label: str
    values: str


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    description: str
    rows: tuple[PanelRow, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    tags: tuple[str, ...] = ("hermes",)
    links: dict[str, str] = field(default_factory=dict)
