"""Step by step for people: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hermes_client.scenario.report import FAILED, PASSED, UNPROVEN, StepResult

REFRESH_PER_SECOND = 8
_MARKS = {PASSED: ("✔", "green"), FAILED: ("✘", "red"), UNPROVEN: ("?", "yellow")}
_WORDS = {PASSED: "ok  ", UNPROVEN: "?   "}
_COLOURS = {"PASS": "green", "UNPROVEN": "yellow"}


class Progress(Protocol):
    """Told what happens; shows it. What is announced must be seen at once (somebody acts on it), a note is nice to have."""

    def open(self, title: str, steps: list[StepResult]) -> None: ...
    def begin(self, index: int) -> None: ...
    def announce(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self, index: int) -> None: ...
    def close(self, closing_line: str) -> None: ...


class PlainProgress:
    """One line when a step is over, one for each note that matters to whoever reads a log."""

    def __init__(self, stream: TextIO, *, notes: bool = False) -> None:
        self._stream = stream
        self._notes = notes
        self._steps: list[StepResult] = []

    def open(self, title: str, steps: list[StepResult]) -> None:
        self._steps = steps
        self._print(title)

    def begin(self, index: int) -> None:
        pass

    def announce(self, text: str) -> None:
        self._print(text)

    def note(self, text: str) -> None:
        if self._notes:
            self._print(f"  … {text}")

    def end(self, index: int) -> None:
        step = self._steps[index]
        word = _WORDS.get(step.outcome, "FAIL")
        self._print(f"{index + 1:2}/{len(self._steps)} {word} {step.name:<34} {step.seconds:6.2f} s  {step.detail}")

    def close(self, closing_line: str) -> None:
        self._print(closing_line)

    def _print(self, text: str) -> None:
        self._stream.write(text.rstrip() + "\n")
        self._stream.flush()


class LiveProgress:
    """A table that fills in while the scenario runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: list[StepResult] = []
        self._current: int | None = None
        self._began = 0.0
        self._note = ""
        self._spinner = Spinner("dots")
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_SECOND, get_renderable=self._render)

    def open(self, title: str, steps: list[StepResult]) -> None:
        self._steps = steps
        self._console.print(Text(title, style="bold"))
        self._live.start()

    def begin(self, index: int) -> None:
        self._current, self._began, self._note = index, time.monotonic(), ""

    def announce(self, text: str) -> None:
        self._console.print(Text(text, style="bold yellow"))

    def note(self, text: str) -> None:
        self._note = text

    def end(self, index: int) -> None:
        if self._current == index:
            self._current = None

    def close(self, closing_line: str) -> None:
        self._live.stop()
        colour = _COLOURS.get(closing_line.partition(" ")[0], "red")
        # soft_wrap: the closing line stays one line, whatever the width of the terminal.
        self._console.print(Text(closing_line, style=f"bold {colour}"), soft_wrap=True)

    def _render(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1))
        for style in ("dim", "", "", "dim"):
            table.add_column(style=style)
        for index, step in enumerate(self._steps):
            if index == self._current:
                seconds = time.monotonic() - self._began
                table.add_row(self._spinner, Text(step.name, style="bold"), f"{seconds:.1f} s", self._note)
            elif step.outcome in _MARKS:
                mark, style = _MARKS[step.outcome]
                table.add_row(Text(mark, style=style), step.name, f"{step.seconds:.1f} s", step.detail)
            else:
                table.add_row("·", Text(step.name, style="dim"), "", "")
        return table


def choose_progress(stream: TextIO, *, notes: bool = False) -> Progress:
    """The live table when `stream` is a terminal, plain lines otherwise."""
    if stream.isatty():
        return LiveProgress(Console(file=stream, highlight=False))
    return PlainProgress(stream, notes=notes)
