"""Slotted dataclasses that compile nothing before they are used: what they are made of is shared, `__init__` waits for a call.

The standard library writes up to six methods of each class as source and compiles them when its module is imported, 0.4 ms a
class. An app has a hundred such classes and uses a third of them, and one that was killed pays for all at each start. For the
type checker `dataclass` is the standard library's; what is made here knows no InitVar, no keyword-only field, and no default of
a field that is not in `__init__`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the name is handed on
else:

    def dataclass(*, slots: bool, frozen: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]:
        """As the standard library's; TypeError without slots, and for a field that is not known here."""
        if not slots:
            raise TypeError("only classes with slots are made here")
        return lambda cls: _make(cls, frozen=frozen, eq=eq)


def _make(cls: type[T], *, frozen: bool, eq: bool) -> type[T]:
    own = frozenset(cls.__dict__)
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else the standard library asks for a signature, which there is none yet
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    methods: dict[str, Any] = {"__init__": _compile_when_called(made), "__repr__": _show}
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    if any(field.kw_only or not (field.init or _is_required(field)) for field in fields):
        raise TypeError(f"{cls.__qualname__} has a field that is not known here")
    if eq:
        compared = _read_all([field.name for field in fields if field.compare])
        methods |= {"__eq__": _compare_by(compared), "__hash__": None}
    if eq and frozen:
        hashed = _read_all([field.name for field in fields if (field.compare if field.hash is None else field.hash)])
        methods["__hash__"] = lambda self: hash(hashed(self))
    if frozen:
        methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        methods |= {"__getstate__": _get_state, "__setstate__": _set_state}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read_all(names: list[str]) -> Callable[[object], tuple[Any, ...]]:
    """What reads these attributes, as a tuple also of one and of none."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _compare_by(read: Callable[[object], tuple[Any, ...]]) -> Callable[[object, object], bool]:
    def compare(self: object, other: object) -> bool:
        return read(self) == read(other) if other.__class__ is self.__class__ else NotImplemented

    return compare


def _compile_when_called(cls: type) -> Callable[..., None]:
    """An `__init__` that is replaced by the real one at its first call."""

    def begin(self: object, *args: Any, **kwargs: Any) -> None:
        compiled = _compile_init(cls)
        type.__setattr__(cls, "__init__", compiled)
        compiled(self, *args, **kwargs)

    return begin


def _compile_init(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {"missing_": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        name = field.name
        default, value = "", name
        if field.default_factory is not dataclasses.MISSING:
            names[f"make_{name}"] = field.default_factory
            default, value = "=missing_", f"make_{name}() if {name} is missing_ else {name}"
        elif field.default is not dataclasses.MISSING:
            names[f"default_{name}"] = field.default
            default = f"=default_{name}"
        names[f"set_{name}"] = getattr(cls, name).__set__  # of the slot itself: a frozen value refuses to be set otherwise
        parameters.append(name + default)
        lines.append(f"set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"])
    exec(source, names)  # noqa: S102 - names of fields, out of our own source
    compiled: Callable[..., None] = names["__init__"]
    compiled.__qualname__ = f"{cls.__qualname__}.__init__"  # what a TypeError of a wrong call says
    return compiled


@recursive_repr()
def _show(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
