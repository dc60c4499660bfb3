"""What a run of the scenario found: for people in one line, for machines as JSON and JUnit XML."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PASSED, FAILED, UNPROVEN, NOT_RUN = "passed", "failed", "unproven", "not run"
EXIT_KEPT, EXIT_BROKEN_PROMISE, EXIT_UNPROVEN = 0, 1, 2
"""Of a program that ran a scenario. What could not run has proven nothing either, and ends with the last one too."""


@dataclass(slots=True)
class StepResult:
    """One step: its outcome, how long it took (seconds), and what is worth knowing."""

    name: str
    outcome: str = NOT_RUN
    seconds: float = 0.0
    detail: str = ""


@dataclass(slots=True)
class ScenarioReport:
    """A whole run. `messages` counts what was sent; pauses are each app's longest time without a message, in seconds."""

    name: str
    steps: list[StepResult] = field(default_factory=list)
    messages: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    violations: list[str] = field(default_factory=list)
    longest_pause_s: dict[str, float] = field(default_factory=dict)
    resumes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return bool(self.steps) and all(step.outcome == PASSED for step in self.steps)

    @property
    def unproven(self) -> bool:
        """Every promise was kept, but what was to put them to the test was not seen to happen."""
        outcomes = {step.outcome for step in self.steps}
        return UNPROVEN in outcomes and outcomes <= {PASSED, UNPROVEN}

    @property
    def exit_code(self) -> int:
        return EXIT_KEPT if self.passed else EXIT_UNPROVEN if self.unproven else EXIT_BROKEN_PROMISE

    def closing_line(self) -> str:
        """The last line of the human report."""
        for number, step in enumerate(self.steps, 1):
            if step.outcome == FAILED:
                return f"FAIL {self.name}: step {number} {step.name}: {step.detail}"
        if not self.passed and not self.unproven:
            return f"FAIL {self.name}: interrupted"
        done = sum(step.outcome == PASSED for step in self.steps)
        pause = "".join(f", longest pause of {app} {pause:.1f} s" for app, pause in self.longest_pause_s.items())
        counts = (
            f"{done}/{len(self.steps)} steps, {self.messages} messages, "
            f"{self.lost} lost, {self.duplicated} duplicated, {self.reordered} reordered{pause}"
        )
        if self.unproven:
            why = "; ".join(step.detail for step in self.steps if step.outcome == UNPROVEN)
            return f"UNPROVEN {self.name}: {why}; nothing is proven, though every promise was kept: {counts}"
        return f"PASS {self.name}: {counts}"

    def to_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "unproven": self.unproven, "summary": self.closing_line(), **asdict(self)}


def write_json(report: ScenarioReport, path: Path) -> None:
    path.write_text(json.dumps(report.to_dict(), indent=2) + "\n")


def write_junit(report: ScenarioReport, path: Path) -> None:
    """JUnit XML as CI systems read it: one test case a step."""
    failures = sum(step.outcome == FAILED for step in report.steps)
    skipped = sum(step.outcome == NOT_RUN for step in report.steps)
    suite = ET.Element(
        "testsuite",
        name=report.name,
        tests=str(len(report.steps)),
        failures=str(failures),
        skipped=str(skipped),
        errors=str(sum(step.outcome == UNPROVEN for step in report.steps)),
        time=f"{report.seconds:.3f}",
    )
    for step in report.steps:
        case = ET.SubElement(suite, "testcase", classname=report.name, name=step.name, time=f"{step.seconds:.3f}")
        if step.outcome == FAILED:
            ET.SubElement(case, "failure", message=step.detail)
        elif step.outcome == UNPROVEN:
            ET.SubElement(case, "error", message=step.detail)
        elif step.outcome == NOT_RUN:
            ET.SubElement(case, "skipped")
        if step.detail:
            ET.SubElement(case, "system-out").text = step.detail
    ET.SubElement(suite, "system-out").text = "\n".join([report.closing_line(), *report.violations])
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
