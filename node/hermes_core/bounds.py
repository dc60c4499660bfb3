"""How a tunable is declared, and how values are held to it: one annotation says type, default, range, unit and meaning.

    Window = Annotated[int, bounds(256, 1, 4096, "positions", "Positions reserved on disk ahead of use.")]

    @dataclass(frozen=True, slots=True)
    class Params(Limited):
        window: Window = default(Window)

`hermes_core.limits` has them all; whatever is made of `Limited` cannot hold a value that is out of bounds.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from hermes_core.values import dataclass

_SHOWN_BITS: Final = 256
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = 80
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {"<=": operator.le, ">=": operator.ge}


class LimitError(ValueError):
    """`field` is out of bounds, or at odds with the field `other` (in which case `problem` ends where `other` follows)."""

    def __init__(self, field: str, problem: str, other: str = "", why: str = "") -> None:
        self.field, self.other = field, other
        self.detail = " ".join(filter(None, (problem, other))) + (f"; {why}" if why else "")
        super().__init__(f"{field}: {self.detail}")
        self._problem, self._why = problem, why

    def renamed(self, rename: Callable[[str], str]) -> LimitError:
        """The same for people who know the fields by other names."""
        return LimitError(rename(self.field), self._problem, self.other and rename(self.other), self._why)


def quote(value: object) -> str:
    """A value as a message shows it: cut in the middle where it would leave no room for what is said of it."""
    return _SHORT.repr(value)


@dataclass(frozen=True, slots=True)
class Relation:
    """Holds a value to `factor` times that of another tunable, wherever one class has both; `words` and `why` are for people.

    `sign` is what stands between the two, as CEL writes it.
    """

    sign: str
    other: Any
    words: str
    why: str
    factor: int = 1

    def allows(self, value: float, other: float) -> bool:
        return _COMPARE[self.sign](value, self.factor * other)


def at_most(other: Any, why: str) -> Relation:
    return Relation("<=", other, "must not exceed", why)


def at_least_twice(other: Any, why: str) -> Relation:
    return Relation(">=", other, "must be at least twice", why, factor=2)


@dataclass(frozen=True, slots=True)
class Tunable:
    """One tunable as its annotation `kind` tells it. `low` and `high` are allowed; None for a choice of words, or several."""

    kind: Any
    default: Any
    low: float | None
    high: float | None
    unit: str
    text: str
    rule: Relation | None

    @property
    def type(self) -> Any:
        """int, float, a Literal, or a tuple of one Literal."""
        return get_args(self.kind)[0]

    @property
    def many(self) -> bool:
        """A list of words to choose from."""
        return get_origin(self.type) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(get_args(self.type)[0] if self.many else self.type)

    def refuse(self, value: object) -> str:
        """What is wrong with this value; empty when it may be."""
        try:
            msgspec.convert(value, self.kind)
        except msgspec.ValidationError:
            if self.many:
                return f"{quote(value)} is not a list of 1 to {len(self.choices)} of {', '.join(self.choices)}"
            if self.choices:
                return f"{quote(value)} is not one of {', '.join(self.choices)}"
            # Python refuses to write a number of thousands of digits.
            huge = isinstance(value, int) and value.bit_length() > _SHOWN_BITS
            return f"{'a huge number' if huge else value} is not between {self.low} and {self.high}"
        return ""


def bounds(default: float, low: float, high: float, unit: str, text: str, rule: Relation | None = None) -> msgspec.Meta:
    """The annotation of a number; both `low` and `high` are allowed."""
    return msgspec.Meta(ge=low, le=high, description=text, extra={"default": default, "unit": unit, "rule": rule})


def choice(default: str, text: str) -> msgspec.Meta:
    """The annotation of a `Literal`."""
    return msgspec.Meta(description=text, extra={"default": default, "unit": "", "rule": None})


def choices(default: tuple[str, ...], most: int, text: str) -> msgspec.Meta:
    """The annotation of a `tuple[Literal, ...]`: a list in an order that counts, of 1 to `most`."""
    return msgspec.Meta(min_length=1, max_length=most, description=text, extra={"default": default, "unit": "", "rule": None})


def default(kind: Any) -> Any:
    return read_tunable(kind).default


@cache
def read_tunable(kind: Any) -> Tunable:
    """What an annotation made by `bounds` or `choice` tells."""
    meta = _meta_of(kind)
    given = meta.extra["default"]
    usual = float(given) if get_args(kind)[0] is float else given
    return Tunable(kind, usual, meta.ge, meta.le, meta.extra["unit"], meta.description, meta.extra["rule"])


def tunables_of(kind: type) -> Mapping[str, Tunable]:
    """The fields of a class that are tunables."""
    return _read_class(kind)[0]


def rules_of(kind: type) -> Sequence[tuple[str, Relation, str]]:
    """Field, rule and other field for each rule between two fields of a class."""
    return _read_class(kind)[1]


class Limited:
    """Base of a dataclass whose fields may be tunables; LimitError names the first that is out of bounds."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, tunable in tunables_of(type(self)).items():
            if problem := tunable.refuse(getattr(self, name)):
                raise LimitError(name, problem)
        for name, rule, other in rules_of(type(self)):
            if not rule.allows(getattr(self, name), getattr(self, other)):
                raise LimitError(name, rule.words, other, rule.why)


def _meta_of(hint: Any) -> Any:
    return next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, msgspec.Meta)), None)


@cache
def _read_class(kind: type) -> tuple[dict[str, Tunable], list[tuple[str, Relation, str]]]:
    hints = get_type_hints(kind, include_extras=True)
    tunables = {name: read_tunable(hint) for name, hint in hints.items() if getattr(_meta_of(hint), "extra", None)}
    names = [(name, other) for name in tunables for other in tunables]
    return tunables, [(a, rule, b) for a, b in names if (rule := tunables[a].rule) and rule.other == tunables[b].kind]
