"""The tunables: described, within their own ranges, named after their units; and what is made of them holds to its bounds."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

from hermes_core import limits
from hermes_core.bounds import Limited, LimitError, Tunable, default, read_tunable, rules_of, tunables_of
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.suites import Suite
from hermes_core.endpoint.params import AppParams
from hermes_core.ids import ChannelKind
from hermes_core.mesh.params import MeshParams
from hermes_core.ratchet.params import DEFAULT_SUITES, ChannelParams
from hermes_core.relay.params import ChatParams

TUNABLES = {name: read_tunable(kind) for name, kind in vars(limits).items() if hasattr(kind, "__metadata__")}
CLASSES: list[type[Any]] = [ChannelParams, ChatParams, AppParams, MeshParams, Argon2Params]
SUFFIXES = {"s": "_s", "bytes": "_bytes", "KiB": "_kib"}
NUMBERS = [(kind, name, tunable) for kind in CLASSES for name, tunable in tunables_of(kind).items() if not tunable.choices]


@pytest.mark.parametrize("name", TUNABLES)
def test_a_tunable_is_described_and_its_default_is_allowed(name: str) -> None:
    tunable = TUNABLES[name]
    assert tunable.text.endswith(".")
    assert tunable.text.count(". ") <= 1
    assert not tunable.refuse(tunable.default)
    assert isinstance(tunable.default, tuple if tunable.many else str if tunable.choices else tunable.type)
    suffix = SUFFIXES.get(tunable.unit, "").replace("_", "").capitalize()
    assert name.endswith(suffix)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_field_is_named_after_its_unit(kind: type[Any]) -> None:
    assert tunables_of(kind)
    for name, tunable in tunables_of(kind).items():
        assert name.endswith(SUFFIXES.get(tunable.unit, "")), name


@pytest.mark.parametrize(("kind", "name", "tunable"), NUMBERS, ids=[f"{kind.__name__}.{name}" for kind, name, _ in NUMBERS])
def test_params_at_their_bounds_and_one_past(kind: Any, name: str, tunable: Tunable) -> None:
    assert tunable.low is not None
    assert tunable.high is not None
    step = 1 if tunable.type is int else 1e-6
    for good in (tunable.low, tunable.high):
        assert getattr(kind(**{name: good} | _companions(kind, name, good)), name) == good
    for bad in (tunable.low - step, tunable.high + step, math.nan, "7", None, 10**400):
        with pytest.raises(LimitError) as caught:
            kind(**{name: bad})
        assert caught.value.field == name
        assert f"{tunable.low} and {tunable.high}" in str(caught.value)


def _companions(kind: Any, name: str, value: float) -> dict[str, float]:
    """What must be set besides, for a field to be at its bound."""
    best: dict[str, float] = {}
    for field, rule, other in rules_of(kind):
        if name == field:
            tunable, wants_high = tunables_of(kind)[other], rule.sign == "<="
            best[other] = float(tunable.high if wants_high else tunable.low)  # type: ignore[arg-type]
        if name == other:
            tunable, wants_high = tunables_of(kind)[field], rule.sign == ">="
            best[field] = float(tunable.high if wants_high else tunable.low)  # type: ignore[arg-type]
    return {field: tunables_of(kind)[field].type(number) for field, number in best.items()}


def test_fields_that_only_make_sense_together() -> None:
    rules = {(kind.__name__, field, other) for kind in CLASSES for field, _, other in rules_of(kind)}
    assert rules == {
        ("ChannelParams", "window", "max_skip"),
        ("AppParams", "retransmit_s", "retransmit_max_s"),
        ("MeshParams", "dead_after_s", "heartbeat_interval_s"),
    }
    ChannelParams(window=64, max_skip=64)
    MeshParams(heartbeat_interval_s=2.0, dead_after_s=4.0)
    AppParams(retransmit_s=60.0)
    with pytest.raises(LimitError, match="window: must not exceed max_skip"):
        ChannelParams(window=65, max_skip=64)
    with pytest.raises(LimitError, match="dead_after_s: must be at least twice heartbeat_interval_s"):
        MeshParams(heartbeat_interval_s=2.0, dead_after_s=3.99)
    with pytest.raises(LimitError, match="retransmit_s: must not exceed retransmit_max_s"):
        AppParams(retransmit_s=60.1)


def test_an_error_can_speak_of_other_names() -> None:
    with pytest.raises(LimitError) as caught:
        ChannelParams(window=65, max_skip=64)
    renamed = caught.value.renamed(lambda field: f"crypto.{field}")
    assert str(renamed).startswith("crypto.window: must not exceed crypto.max_skip; after a restart")


def test_argon2_gets_eight_kib_for_each_lane_whatever_is_chosen() -> None:
    """RFC 9106, 3.1: at least 8 KiB a lane; no rule between the two is needed while the ranges see to it."""
    memory, lanes = read_tunable(limits.Argon2MemoryKib), read_tunable(limits.Argon2Lanes)
    assert memory.low is not None
    assert lanes.high is not None
    assert memory.low >= 8 * lanes.high


def test_every_suite_of_the_core_can_be_chosen_and_hops_are_classical_unless_somebody_does() -> None:
    assert {Suite.named(name) for name in get_args(limits.SuiteName)} == set(Suite)
    for kind in (ChannelKind.LEG, ChannelKind.TIELINE):
        assert DEFAULT_SUITES[kind] == tuple(map(Suite.named, default(limits.Suites))) == (Suite.X25519_SHA256,)
    assert DEFAULT_SUITES[ChannelKind.END_TO_END][0] is Suite.X25519_MLKEM768_SHA256
    assert set(DEFAULT_SUITES[ChannelKind.END_TO_END]) == set(Suite), "a peer that has no ML-KEM gets a chat too"


@pytest.mark.parametrize("kind", CLASSES)
def test_params_are_read_as_cheaply_as_slots(kind: type[Any]) -> None:
    params = kind()
    assert isinstance(params, Limited)
    assert not hasattr(params, "__dict__")
    assert type(getattr(kind, next(iter(tunables_of(kind))))).__name__ == "member_descriptor"
