"""How figures are shown: a line each on the terminal, build/bench.json, docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.measure import Figure

ROOT = Path(__file__).parents[1]
VERSIONS = ("cryptography", "PyNaCl", "grpcio", "protobuf", "vodozemac", "DoubleRatchet")


def reaches(figure: Figure, goal: str) -> bool:
    """Whether the ratio is at least (or, where less is better, at most) the figure's `must` or `aim`."""
    if figure["aim"] < figure["must"]:
        return bool(figure["ratio"] <= figure[goal])
    return bool(figure["ratio"] >= figure[goal])


def judge(figure: Figure) -> str:
    if reaches(figure, "aim"):
        return "pass, aim reached"
    return "pass" if reaches(figure, "must") else "SHORT"


def format_rows(figures: Sequence[Figure]) -> list[str]:
    return [
        f"{figure['id']:<4} {figure['ratio']:8.2f}  must {figure['must']:<5g} aim {figure['aim']:<5g} "
        f"{judge(figure):<18} {figure['name']}"
        for figure in figures
    ]


def describe_machine() -> dict[str, str]:
    """Processor, cores, Python, libraries: what a ratio was measured on."""
    described = {
        "processor": _read_processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
    }
    for name in VERSIONS:
        try:
            described[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return described


def write_json(figures: Sequence[Figure], machine: dict[str, str], failed: Sequence[str]) -> None:
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "failed": list(failed), "figures": list(figures)}, indent=1) + "\n")


def write_page(figures: Sequence[Figure], machine: dict[str, str], failed: Sequence[str]) -> None:
    (ROOT / "docs" / "benchmarks.md").write_text(render_page(figures, machine, failed))


def render_page(figures: Sequence[Figure], machine: dict[str, str], failed: Sequence[str]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`. Every figure is a ratio of medians from runs that took turns in one process or one set-up;",
        "absolute times are those of the machine below and say little about another one. Membership has",
        "[figures of its own](swim.md#figures), beside those of memberlist; [scaling](scaling.md) says what a mesh carries.",
        "",
        "| # | figure | ratio | of minima | must | aim | result |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        minima = figure.get("ratio_of_minima")
        lines.append(
            f"| {figure['id']} | {figure['name']} | {figure['ratio']:.2f} | {'' if minima is None else f'{minima:.2f}'} "
            f"| {figure['must']:g} | {figure['aim']:g} | {judge(figure)} |"
        )
    lines += [f"| | {module} | | | | | FAILED |" for module in failed]
    lines += ["", "## Samples", "", "| # | what | minimum | median | samples |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        samples = figure["samples"] if isinstance(figure["samples"], dict) else {"": figure["samples"]}
        lines += [
            f"| {figure['id']} | {what} | {min(taken):.3g} | {statistics.median(taken):.3g} | {len(taken)} |"
            for what, taken in samples.items()
            if taken
        ]
    lines += ["", "## Machine", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in machine.items()]
    return "\n".join(lines) + "\n"


def _read_processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
