"""Signals that ask a program of the harness to end: obeyed where that is safe, elsewhere noted and answered.

What was begun has to be taken down, and a teardown that is broken off leaves a cluster running that nobody knows of. So the
first signal raises KeyboardInterrupt, once; what comes while things are put back is told what goes on.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
UNWINDING = "ending; what was begun is being put back"
TAKING_DOWN = "taking it down; that ends by itself, and so does this program then"


class _State:
    """What a signal does now. One for the process, as its handlers are."""

    obeyed = True
    answer = UNWINDING
    noted = 0


def handle_signals() -> None:
    """Let SIGINT and SIGTERM do what this file says; one that is ignored (SIGINT, of a job in the background) stays so."""
    _State.obeyed, _State.noted = True, 0
    for number in SIGNALS:
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextmanager
def finishing(answer: str = TAKING_DOWN) -> Iterator[None]:
    """Let the block end whatever comes: a signal is noted, and answered with `answer`."""
    before = _State.obeyed, _State.answer
    _State.obeyed, _State.answer = False, answer
    try:
        yield
    finally:
        _State.obeyed, _State.answer = before


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first signal end the block, at once when one was noted before it; KeyboardInterrupt."""
    before = _State.obeyed
    obey_noted()
    _State.obeyed = True
    try:
        yield
    finally:
        _State.obeyed = before


def obey_noted() -> None:
    """Raise KeyboardInterrupt when a signal was noted that nobody has obeyed."""
    if _State.noted:
        _State.noted = 0
        raise KeyboardInterrupt


def is_finishing() -> bool:
    """Say whether signals are only noted now: a terminal must not send them to the programs that do the work either."""
    return not _State.obeyed


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _State.obeyed:
        _State.obeyed = False  # one is enough: a second must not break off what the first one's exception puts back
        raise KeyboardInterrupt
    _State.noted += 1
    # Not through a buffered stream: the signal may have come while this very thread was writing to it.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{signal.Signals(number).name}: {_State.answer}\n".encode())
