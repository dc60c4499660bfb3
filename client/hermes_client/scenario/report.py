"""What a run of the scenario found: for people in one line, for machines as JSON and JUnit XML."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


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

    def closing_line(self) -> str:
        """The last line of the human report."""
        for number, step in enumerate(self.steps, 1):
            if step.outcome == FAILED:
                return f"FAIL {self.name}: step {number} {step.name}: {step.detail}"
        if not self.passed:
            return f"FAIL {self.name}: interrupted"
        done = sum(step.outcome == PASSED for step in self.steps)
        pause = "".join(f", longest pause of {app} {pause:.1f} s" for app, pause in self.longest_pause_s.items())
        return (
            f"PASS {self.name}: {done}/{len(self.steps)} steps, {self.messages} messages, "
            f"{self.lost} lost, {self.duplicated} duplicated, {self.reordered} reordered{pause}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "summary": self.closing_line(), **asdict(self)}


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
        errors="0",
        time=f"{report.seconds:.3f}",
    )
    for step in report.steps:
        case = ET.SubElement(suite, "testcase", classname=report.name, name=step.name, time=f"{step.seconds:.3f}")
        if step.outcome == FAILED:
            ET.SubElement(case, "failure", message=step.detail)
        elif step.outcome == NOT_RUN:
            ET.SubElement(case, "skipped")
        if step.detail:
            ET.SubElement(case, "system-out").text = step.detail
    ET.SubElement(suite, "system-out").text = "\n".join([report.closing_line(), *report.violations])
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
