"""Running a program to its end, with an error that shows the last thing it said."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from .errors import HarnessError
from .interruption import is_finishing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DEFAULT_TIMEOUT_S = 120.0


def run(
    argv: Sequence[str | Path],
    *,
    cure: str,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> str:
    """Run a program and return its standard output; a failure is one line with the cure."""
    done = attempt(argv, env=env, stdin=stdin, cwd=cwd, timeout_s=timeout_s)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        shown = shlex.join(str(word) for word in argv)
        raise HarnessError(f"`{shown[:200]}` ended with {done.returncode}: {' | '.join(lines[-4:])}", cure)
    return done.stdout


def attempt(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return how it ended; one that is absent or too slow counts as failed."""
    words = [str(word) for word in argv]
    try:
        return subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            input=stdin if stdin is not None else "",
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            start_new_session=is_finishing(),  # else Ctrl-C on a terminal ends what takes the cluster down
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"not done after {timeout_s:.0f}s")
