"""The one error of the harness: a line that says what failed and what cures it."""

from __future__ import annotations


class HarnessError(Exception):
    """One line for a person: what is wrong, then the cure."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.problem = problem
        self.cure = cure


class RefusedError(HarnessError):
    """Nothing was begun, because of something that is there: it is not ours, and was not touched."""
