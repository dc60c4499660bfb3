"""Where a message can lie: every field of every type that travels between nodes, found in the dataclasses themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from hermes_core.mesh.messages import CHALLENGE_BYTES, Hello, Proof
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.session import Heartbeat
from hermes_wire.peer import _GOSSIP_BUILDERS, _PEER_BUILDERS
from tests.support.control_samples import CONTROL_SAMPLES, DESCRIPTOR

Step = str | int
"""Into a field, or an item of a tuple or frozenset."""

GOSSIP_TYPES: Final = frozenset(_GOSSIP_BUILDERS)
ROUTE_TYPES: Final = frozenset(_PEER_BUILDERS) | {Sealed}
SAMPLES: Final[dict[type, Any]] = {
    **{type(sample): sample for sample in CONTROL_SAMPLES.values() if type(sample) in GOSSIP_TYPES | ROUTE_TYPES},
    Hello: Hello(DESCRIPTOR, bytes(CHALLENGE_BYTES), bytes(range(32)), b"\x03\x01"),
    Proof: Proof(bytes(64)),
    Sealed: Sealed(bytes(120)),
    Heartbeat: Heartbeat(7, reply=True),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a message, however deep; with an empty path the message as it is, where or when it does not belong."""

    kind: type
    path: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return ".".join([self.kind.__name__, *map(str, self.path)])


def list_places() -> list[Place]:
    """Always in the same order."""
    return [Place(kind, path) for kind, sample in sorted(SAMPLES.items(), key=_by_name) for path in ((), *_walk(sample))]


def walk(value: Any) -> list[tuple[Step, ...]]:
    """The paths to everything in it."""
    return list(_walk(value))


def change(value: Any, path: tuple[Step, ...], lie: Callable[[str, Any], Any], draw: Random, name: str = "") -> Any:
    """`value` with what `lie` makes of what is at the end of the path; LookupError when nothing is there.

    Of several items of one kind any may be the one that lies.
    """
    if not path:
        return lie(name, value)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not dataclasses.is_dataclass(value) or not hasattr(value, step):
            raise LookupError(step)
        return dataclasses.replace(value, **{step: change(getattr(value, step), rest, lie, draw, step)})  # type: ignore[type-var]
    items = _items(value)
    at = draw.choice([index for index, item in enumerate(items) if type(item) is type(items[step])])
    items[at] = change(items[at], rest, lie, draw, name)
    return type(value)(items)


def _items(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise LookupError("no items here")


def _walk(value: Any) -> Iterator[tuple[Step, ...]]:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield (field.name,)
            yield from ((field.name, *path) for path in _walk(getattr(value, field.name)))
    elif isinstance(value, tuple | frozenset):
        seen: set[type] = set()
        for index, item in enumerate(_items(value)):
            if type(item) not in seen:  # one of each kind of fact
                seen.add(type(item))
                yield (index,)
                yield from ((index, *path) for path in _walk(item))


def _by_name(pair: tuple[type, Any]) -> str:
    return pair[0].__name__
