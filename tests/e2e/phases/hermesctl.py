"""hermesctl as a person would run it, line by line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.wait import until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.e2e.phases.context import Run

VERDICT = re.compile(r"^(PASS|FAIL|UNPROVEN) .*")


@dataclass
class Hermesctl:
    """A running hermesctl; as a context manager it is ended when the block is left."""

    run: Run
    words: tuple[str, ...]
    log: str  # name of the file that keeps its output
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hermes_ctl.cli", *self.words],
            env={**os.environ, "KUBECONFIG": str(self.run.cluster.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(timeout=30.0)
        self._reader.join(timeout=10.0)
        self.run.write(self.log, "\n".join(self.lines) or "(no output)")

    def await_line(self, start: str, *, within_s: float) -> str:
        """Return the first line that starts so; fails as soon as the program has ended without one."""

        def look() -> str | None:
            found = next((line for line in self.lines if line.startswith(start)), None)
            if found is None and self._process.poll() is not None and not self._reader.is_alive():
                raise HarnessError(f"{self._shown()} ended before it said {start}: {self._last()}", f"read {self._where()}")
            return found

        return until(f"{start!r} of {self._shown()}", look, within_s=within_s, cure=f"read {self._where()}")

    def await_success(self, *, within_s: float) -> None:
        """Return when the program ended with 0."""
        try:
            code = self._process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self._shown()} took longer than {within_s:.0f} s: {self._last()}", "see its log") from None
        self._reader.join(timeout=10.0)
        if code != 0:
            raise HarnessError(f"{self._shown()} ended with {code}: {self._last()}", f"read {self._where()}")

    def verdict(self) -> str:
        """Return the closing line of a scenario."""
        found = next((line for line in reversed(self.lines) if VERDICT.match(line)), None)
        if found is None:
            raise HarnessError(f"{self._shown()} gave no verdict", f"read {self._where()}")
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.run.note = line.strip()

    def _shown(self) -> str:
        return f"`hermesctl {' '.join(self.words)}`"

    def _last(self) -> str:
        return " | ".join(self.lines[-3:])[:400] or "no output"

    def _where(self) -> str:
        return str(self.run.out / self.log)


def require_clean_verdict(verdict: str) -> str:
    """Return the verdict when it is a PASS with nothing lost, duplicated or reordered."""
    for word in ("PASS", " 0 lost", " 0 duplicated", " 0 reordered"):
        if word not in verdict:
            raise HarnessError(f"the scenario says: {verdict}", "read its log in build/e2e")
    return verdict
