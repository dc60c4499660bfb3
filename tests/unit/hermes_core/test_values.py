"""Dataclasses with shared methods are what the standard library's are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, replace
from typing import Any

import pytest

from hermes_core import values


@values.dataclass(frozen=True, slots=True)
class Empty:
    pass


@values.dataclass(frozen=True, slots=True)
class One:
    """A single field, for the pickler, which looks a class up by its name."""

    x: int


@values.dataclass(slots=True)
class Open:
    """Not frozen."""

    x: int
    y: list[int] = field(default_factory=list)


def define(make: Callable[..., Any]) -> dict[str, Any]:
    """The same classes, made by either."""

    @make(frozen=True, slots=True)
    class Nothing:
        """No field."""

    @make(frozen=True, slots=True)
    class Single:
        """One field."""

        x: object

    @make(frozen=True, slots=True)
    class Many:
        """What fields can be."""

        x: int
        hidden: bytes = field(default=b"h", repr=False)
        passing: int = field(default=3, compare=False)
        unhashed: int = field(default=4, hash=False)
        made: list[int] = field(default_factory=list, hash=False)
        sum: int = field(init=False, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "sum", self.x + self.passing)

    @make(slots=True)
    class Mutable:
        """Not frozen."""

        x: int
        y: int = 2

    @make(slots=True, eq=False)
    class Base:
        """Not compared."""

        x: int

    @make(slots=True, eq=False)
    class Derived(Base):
        """With a field more."""

        y: int

    return {kind.__name__: kind for kind in (Nothing, Single, Many, Mutable, Base, Derived)}


OURS, THEIRS = define(values.dataclass), define(dataclasses.dataclass)
ARGUMENTS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Nothing", (), {}),
    ("Single", (1,), {}),
    ("Single", ((1, 2),), {}),
    ("Many", (1,), {}),
    ("Many", (1, b"other"), {}),
    ("Many", (1,), {"passing": 9}),
    ("Many", (1,), {"unhashed": 9}),
    ("Many", (), {"x": 2, "made": [1]}),
    ("Mutable", (1,), {}),
    ("Mutable", (1, 3), {}),
    ("Base", (1,), {}),
    ("Derived", (1, 2), {}),
]


def build(kinds: dict[str, Any]) -> list[Any]:
    return [kinds[name](*args, **kwargs) for name, args, kwargs in ARGUMENTS]


def test_values_show_and_compare_alike() -> None:
    ours, theirs = build(OURS), build(THEIRS)
    again, others = build(OURS), build(THEIRS)
    assert [repr(value) for value in ours] == [repr(value) for value in theirs]
    for i in range(len(ours)):
        for j in range(len(ours)):
            assert (ours[i] == again[j]) == (theirs[i] == others[j]), (ours[i], again[j])
    assert ours[1] != theirs[1]


def test_hashes_follow_equality() -> None:
    for mine, theirs in zip(build(OURS), build(THEIRS), strict=True):
        kinds: list[Any] = [type(mine), type(theirs)]
        assert len({kind.__hash__ is None for kind in kinds}) == 1
    many = OURS["Many"]
    assert hash(many(1)) == hash(many(1, passing=9)) == hash(many(1, unhashed=9)) != hash(many(1, b"other"))


def test_fields_and_patterns_are_those_of_a_dataclass() -> None:
    kind: Any
    for name, kind in OURS.items():
        other = THEIRS[name]
        assert (kind.__match_args__, kind.__slots__) == (other.__match_args__, other.__slots__)
        assert [each.name for each in dataclasses.fields(kind)] == [each.name for each in dataclasses.fields(other)]
        assert dataclasses.is_dataclass(kind)
    assert replace(OURS["Many"](1), x=5).sum == 8
    assert replace(OURS["Derived"](1, 2), x=5).x == 5


def test_a_factory_makes_one_for_each() -> None:
    first, second = Open(1), Open(1)
    first.y.append(1)
    assert (first.y, second.y) == ([1], [])


@pytest.mark.parametrize("name", ["Nothing", "Single", "Many"])
def test_frozen_ones_refuse_to_change(name: str) -> None:
    value = OURS[name](*() if name == "Nothing" else (1,))
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        value.x = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del value.x
    assert repr(value) == repr(OURS[name](*() if name == "Nothing" else (1,)))


def test_others_change() -> None:
    value = OURS["Mutable"](1)
    value.x = 7
    assert value == OURS["Mutable"](7)


@pytest.mark.parametrize("kinds", [OURS, THEIRS])
def test_a_wrong_call_is_told_the_class(kinds: dict[str, Any]) -> None:
    for args, kwargs in (((), {}), ((1, 2), {}), ((1,), {"z": 1})):
        with pytest.raises(TypeError, match=r"Single\.__init__\(\) "):
            kinds["Single"](*args, **kwargs)


def test_values_are_copied_and_pickled() -> None:
    for value in (Empty(), One(3), Open(1, [2])):
        assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own


def test_a_value_that_holds_itself_is_shown() -> None:
    inner: list[object] = []
    value = OURS["Single"](inner)
    inner.append(value)
    assert repr(value).endswith("Single(x=[...])")


def test_methods_of_the_class_stand() -> None:
    @values.dataclass(frozen=True, slots=True)
    class Told:
        x: int

        def __repr__(self) -> str:
            return "told"

    assert repr(Told(1)) == "told"
    assert Told.__doc__ == "Told"


def test_what_is_not_known_here_is_refused() -> None:
    make: Any = values.dataclass
    with pytest.raises(TypeError, match="slots"):
        make(slots=False)

    class Keyword:
        x: int = field(kw_only=True)

    class Computed:
        x: int = field(init=False, default=1)

    for kind in (Keyword, Computed):
        with pytest.raises(TypeError, match=f"{kind.__name__} has a field"):
            make(slots=True)(kind)


def test_nothing_is_compiled_before_the_first_value() -> None:
    @values.dataclass(frozen=True, slots=True)
    class Late:
        x: int

    before: Any = Late.__init__
    assert Late(1) == Late(1)
    assert Late.__init__ is not before
    assert Late.__init__.__code__.co_filename == "<string>"
