"""Tally: each way of breaking the promise is seen, and named by number."""

from __future__ import annotations

from hermes_client.scenario.tally import Tally, build_content


def _run(order: list[int], *, sent: int) -> Tally:
    tally = Tally("run", "a→b")
    for _ in range(sent):
        tally.build_next()
    for number in order:
        tally.record(build_content("run", "a→b", number))
    return tally


def _words(tally: Tally, *, complete: bool = True) -> list[str]:
    return [str(violation) for violation in tally.violations(complete=complete)]


def test_in_order_and_complete_is_fine() -> None:
    tally = _run([1, 2, 3], sent=3)
    assert not _words(tally)
    assert tally.received == 3


def test_a_hole_is_lost_only_once_everything_was_acknowledged() -> None:
    tally = _run([1, 3], sent=3)
    assert not _words(tally, complete=False)
    assert _words(tally) == ["message a→b #2 was lost"]


def test_a_missing_tail_is_lost() -> None:
    assert _run([1], sent=3).lost() == [2, 3]


def test_twice_is_duplicated() -> None:
    assert _words(_run([1, 2, 1], sent=2), complete=False) == ["message a→b #1 was duplicated"]


def test_late_is_reordered_not_lost() -> None:
    tally = _run([2, 1], sent=2)
    assert _words(tally) == ["message a→b #1 was reordered"]
    assert tally.received == 2


def test_late_twice_is_reordered_and_duplicated() -> None:
    tally = _run([2, 1, 1], sent=2)
    assert sorted(_words(tally)) == ["message a→b #1 was duplicated", "message a→b #1 was reordered"]


def test_content_of_another_run_direction_or_number_is_altered() -> None:
    for content in (
        build_content("other", "a→b", 1),
        build_content("run", "b→a", 1),
        build_content("run", "a→b", 2),
        build_content("run", "a→b", 1)[:-1],
        b"",
        b"\xff" * 10,
    ):
        tally = _run([], sent=1)
        tally.record(content)
        assert len(tally.altered) == 1, content
        assert tally.violations(complete=False)
