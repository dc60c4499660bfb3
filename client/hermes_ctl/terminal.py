"""Writing to the terminal."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line on standard output, shown at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"hermesctl: {' '.join(text.split())}\n")
