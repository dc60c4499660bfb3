"""Writing to the terminal."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """One line on standard output, shown at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"hermesctl: {' '.join(text.split())}\n")


def may_colour() -> bool:
    """Whether standard output is a terminal, and nobody asked for none (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
