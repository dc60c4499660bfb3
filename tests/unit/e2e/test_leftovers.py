"""What a `down` is checked for: looks of two run folders, told as one."""

from __future__ import annotations

from tests.e2e.harness.leftovers import both, describe_clean, find_leftovers
from tests.e2e.harness.paths import RunDir


def test_looks_of_two_folders_find_what_either_has_left() -> None:
    looks = both({"process": lambda: [1], "route": list}, {"process": lambda: [2], "mount": lambda: ["/m"]})
    assert find_leftovers(looks) == ["process: 1", "process: 2", "mount: /m"]
    assert describe_clean(looks) == "no process, route or mount left"


def test_a_dot_in_a_folders_name_makes_no_two_locks_one() -> None:
    locks = {RunDir(RunDir.default().root.with_name(f"tmp.Ab3{suffix}")).lock for suffix in ("", "-kind", "-kind-image")}
    assert len(locks) == 3
