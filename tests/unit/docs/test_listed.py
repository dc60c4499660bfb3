"""What pages list by hand is all there is: conditions of a mesh, inputs of a hop."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from hermes_core.relay.hop_states import HopInput
from hermes_operator.status import conditions
from tests.unit.observability.known_series import CONDITIONS

ROOT = Path(__file__).parents[3]


def _first_cells(page: str, head: str) -> list[str]:
    """The first column of the table that begins with this line."""
    text = (ROOT / "docs" / page).read_text()
    table = text[text.index(head) :].split("\n\n")[0]
    return [row.split(" | ")[0].strip("| `") for row in table.splitlines()[2:]]


def test_every_condition_is_listed_wherever_conditions_are() -> None:
    calls = [node for node in ast.walk(ast.parse(Path(conditions.__file__).read_text())) if isinstance(node, ast.Call)]
    built = {
        str(call.args[0].value)
        for call in calls
        if getattr(call.func, "id", "") == "Condition" and isinstance(call.args[0], ast.Constant)
    }
    assert built == set(CONDITIONS)
    assert set(_first_cells("observability.md", "| condition | good | says |")) == built
    crd = yaml.safe_load((ROOT / "crds" / "hermesmeshes.hermesmesh.io.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    said = status["properties"]["conditions"]["items"]["properties"]["type"]["description"]
    assert [name for name in sorted(built) if not re.search(rf"\b{name}\b", said)] == []


def test_every_input_of_a_hop_is_explained() -> None:
    cells = _first_cells("reference/hop-states.md", "| input | what happened |")
    assert {name for cell in cells for name in cell.split(", ")} == {given.name for given in HopInput}
