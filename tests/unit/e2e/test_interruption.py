"""Signals to a run: the first ends what it may end, none breaks off what takes down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness.commands import run
from tests.e2e.harness.interruption import SIGNALS, finishing, handle_signals, interruptible, is_finishing, obey_noted


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handle_signals()
    yield
    handle_signals()
    for number, handler in before.items():
        signal.signal(number, handler)


def _signal(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_interrupts_and_the_second_does_not_break_off_what_puts_back(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored
    handle_signals()
    put_back: list[bool] = []

    def work() -> None:
        try:
            _signal(number)
        finally:
            _signal(number)
            put_back.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert put_back
    assert f"{number.name}: ending" in capfd.readouterr().err


def test_while_something_is_finished_signals_are_noted_and_answered(capfd: pytest.CaptureFixture[str]) -> None:
    with finishing("taking it down; a moment"):
        assert is_finishing()
        _signal()
        _signal()
    assert capfd.readouterr().err == "SIGTERM: taking it down; a moment\n" * 2
    with pytest.raises(KeyboardInterrupt):
        obey_noted()
    obey_noted()  # once


def test_what_was_noted_ends_the_next_block_that_may_be_ended() -> None:
    entered = False
    with finishing():
        _signal()
        with pytest.raises(KeyboardInterrupt), interruptible():
            entered = True
        with pytest.raises(KeyboardInterrupt), interruptible():
            _signal()
        assert is_finishing()
    assert not entered
    assert not is_finishing()


def test_an_ignored_sigint_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle_signals()
    _signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_programs_that_take_down_do_not_hear_what_a_terminal_sends() -> None:
    ask: list[str | Path] = [sys.executable, "-c", "import os; print(os.getsid(0))"]
    with finishing():
        assert int(run(ask, cure="")) != os.getsid(0)
    assert int(run(ask, cure="")) == os.getsid(0)
