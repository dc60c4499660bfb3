"""Programs of the clusters: what `go build` calls them, and how many steps it may take at a time."""

from __future__ import annotations

import os

import pytest

from tests.e2e.harness.tools import PACKAGES, STEP_BYTES, available_bytes, program_name, steps_at_once


@pytest.mark.parametrize(
    ("package", "program"),
    [("k8s.io/kubernetes/cmd/kubelet", "kubelet"), ("go.etcd.io/etcd/server/v3", "server"), ("./kindnetd", "kindnetd")],
)
def test_a_program_is_called_as_go_calls_it(package: str, program: str) -> None:
    assert program_name(package) == program


def test_no_two_programs_share_a_name_where_they_are_built_together() -> None:
    built = [program_name(package) for package in PACKAGES.values()]
    assert len(set(built)) == len(built)


def test_little_memory_is_one_step_at_a_time_and_much_is_one_a_core() -> None:
    assert steps_at_once(STEP_BYTES // 2) == 1
    assert steps_at_once(1 << 50) == os.cpu_count()
    assert available_bytes() > 0
