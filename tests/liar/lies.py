"""What a liar puts into a field: by the kind of its value, out of what it has heard; signed anew with its own key, or not."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.ids import MAX_POSITION, NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.messages import Accusation, SignedDeparture
from hermes_core.mesh.swim.statements import encode_accusation, encode_departure
from tests.liar.places import SAMPLES, Place, change, walk

REMEMBERED: Final = 64
REAL_SHARE: Final = 0.7
SIGN_SHARE: Final = 0.4
MANY: Final = 200
HOSTILE_ADDRESSES: Final = (
    "unix:/var/run/docker.sock",
    "unix-abstract:hermes",
    "dns:///localhost:1",
    "xds:///mesh:1",
    "ipv4:127.0.0.1:1,127.0.0.1:2",
    "2130706433:1",
    "0.0.0.0:1",
    "[::]:1",
    "224.0.0.1:1",
    "[fe80::1%lo]:1",
    "127.0.0.1:0",
    "a:65536",
    "a:1/../b",
    "a b:1",
)
"""What a library would take for something else than a host and a port, or that nobody can dial."""


class Liar:
    """Draws lies. `heard` feeds it with the mesh's own messages: a lie of true parts goes further than noise."""

    def __init__(self, seed: int, name: str, third_parties: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.name = name
        self.third_parties = third_parties
        self.identity: Identity | None = None
        self._messages: defaultdict[type, deque[Any]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._parts: defaultdict[type, deque[Any]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._values: defaultdict[tuple[str, type], deque[Any]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def hear(self, message: Any) -> None:
        self._messages[type(message)].append(message)
        self._keep("", message)

    def know(self, name: str, value: Any) -> None:
        """A value that fields of this name can have."""
        self._values[name, type(value)].append(value)

    def lie(self, place: Place, *others: Place) -> Any:
        """A message that lies there; the rest of it is as true as the liar can make it. `others` are of the same kind."""
        draw = self.random
        said = self._messages[place.kind]
        message = draw.choice(said) if said and draw.random() < REAL_SHARE else self._make_real(SAMPLES[place.kind])
        return self.lie_in(message, place, *others)

    def lie_in(self, message: Any, *places: Place) -> Any:
        for place in places:
            message = self._lie_at(message, place)
        return self._sign(message) if self.random.random() < SIGN_SHARE else message

    def _lie_at(self, message: Any, place: Place) -> Any:
        if place.path:
            try:
                return change(message, place.path, self._change, self.random)
            except LookupError:  # a real one that has no such item
                return change(self._make_real(SAMPLES[place.kind], parts=False), place.path, self._change, self.random)
        return message

    def describe_self(self, own: NodeDescriptor) -> Any:
        """Another descriptor of its own, rightly signed."""
        field = self.random.choice(["address", "incarnation", "version", "app_address", "renewals"])
        return self._sign_one(dataclasses.replace(own, **{field: self._change(field, getattr(own, field))}))

    def make_up(self) -> NodeDescriptor:
        """A member that is nowhere, rightly signed, at somebody else's address."""
        draw = self.random
        name, address = NodeId(f"made-up-{draw.randrange(10**9)}"), draw.choice(self.third_parties)
        return sign_descriptor(Identity.generate(), node_id=name, address=address, incarnation=1, version="1")

    def _keep(self, name: str, value: Any) -> None:
        if dataclasses.is_dataclass(value):
            self._parts[type(value)].append(value)
            for field in dataclasses.fields(value):
                self._keep(field.name, getattr(value, field.name))
        elif isinstance(value, tuple | frozenset):
            for item in list(value)[:REMEMBERED]:
                self._keep(name, item)
        else:
            self._values[name, type(value)].append(value)

    def _make_real(self, value: Any, name: str = "", *, parts: bool = True) -> Any:
        """A sample with parts and values that were heard in such places."""
        draw = self.random
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            known = self._parts[type(value)]
            if parts and name and known and draw.random() < REAL_SHARE:
                return draw.choice(known)
            fields = dataclasses.fields(value)
            return dataclasses.replace(
                value, **{field.name: self._make_real(getattr(value, field.name), field.name, parts=parts) for field in fields}
            )
        if isinstance(value, tuple | frozenset):
            return type(value)(self._make_real(item, name or "item", parts=parts) for item in value)
        seen = self._values[name, type(value)]
        return draw.choice(seen) if seen and draw.random() < REAL_SHARE else value

    def _change(self, name: str, value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
        match value:
            case bool():
                return not value
            case IntEnum():
                return self.random.choice([*(item for item in type(value) if item != value), 0, 99])
            case int():
                return self._number(name, value)
            case str():
                return self._text(name, value)
            case bytes():
                return self._bytes(name, value)
            case tuple() | frozenset():
                return self._items(name, value)
            case None:
                return self.random.choice([*self._values[name, bytes], *self._values[name, str], bytes(16)])
            case _:
                known = self._parts[type(value)]
                return self.random.choice(known) if known else value

    def _number(self, name: str, value: int) -> Any:
        draw = self.random
        near = [0, 1, max(0, value - 1), value + 1, value + 2, value + 1000, 2 * value]
        far = [2**31, 2**32, MAX_POSITION - 1, MAX_POSITION, 2**64 - 1, draw.getrandbits(63)]
        return draw.choice([*near, *far, *self._values[name, int]])

    def _text(self, name: str, value: str) -> Any:
        draw = self.random
        if "address" in name and draw.random() < REAL_SHARE:
            return draw.choice([*self.third_parties, *HOSTILE_ADDRESSES])
        made_up = [
            *(f"made-up-{draw.randrange(10**6)}" for _ in range(8)),
            self.name,
            "",
            "x" * 63,
            "x" * 400,
            value + "x",
            value[:-1],
            "\x00é\n",
        ]
        return draw.choice([*made_up, *self._values[name, str], *self._values["node_id", str]])

    def _bytes(self, name: str, value: bytes) -> Any:
        draw = self.random
        at = draw.randrange(len(value)) if value else 0
        flipped = value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :] if value else b"\x01"
        others = [draw.randbytes(len(value)), b"", value[:-1], value + b"\x00", bytes(len(value)), draw.randbytes(3000)]
        return draw.choice([flipped, flipped, *others, *self._values[name, bytes]])

    def _items(self, name: str, value: tuple[Any, ...] | frozenset[Any]) -> Any:
        draw = self.random
        items = list(value)
        more = [self._twist(self._make_real(item, name or "item")) for item in items for _ in range(MANY // len(items))]
        return type(value)(draw.choice([[], items + items, items[::-1], items[:1], items[1:], more, more]))

    def _twist(self, item: Any) -> Any:
        """One of many: each lies somewhere else."""
        paths = walk(item)
        if not paths:
            return self._change("item", item)
        try:
            return change(item, self.random.choice(paths), self._change, self.random)
        except (LookupError, RecursionError):
            return item

    def _sign(self, value: Any) -> Any:
        """Whatever can be signed in it, signed with its own key or one that is made up."""
        if isinstance(value, NodeDescriptor | Accusation | SignedDeparture):
            return self._sign_one(value)
        if isinstance(value, tuple | frozenset):
            return type(value)(self._sign(item) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes = {field.name: self._sign(getattr(value, field.name)) for field in dataclasses.fields(value)}
            return dataclasses.replace(value, **changes)
        return value

    def _sign_one(self, said: Any) -> Any:
        own = self.identity
        if own is None:
            return said
        try:
            match said:
                case NodeDescriptor():
                    made_up = said.node_id.startswith("made-up") or (said.node_id != self.name and self.random.random() < 0.1)
                    key = Identity.generate(SYSTEM_RANDOM) if made_up else own
                    if made_up and self.random.random() < REAL_SHARE:
                        said = dataclasses.replace(said, address=self.random.choice(self.third_parties))
                    return sign_descriptor(
                        key,
                        node_id=said.node_id,
                        address=said.address,
                        incarnation=said.incarnation,
                        version=said.version,
                        app_address=said.app_address,
                        renewals=said.renewals,
                    )
                case Accusation():
                    fields = (said.subject, said.subject_key, said.incarnation)
                    by = (NodeId(self.name), own.public_key, said.accuser_incarnation)
                    return Accusation(*fields, *by, own.sign(encode_accusation(*fields, *by)))
                case _:
                    body = encode_departure(said.subject, said.subject_key, said.incarnation)
                    return dataclasses.replace(said, signature=own.sign(body))
        except (ValueError, OverflowError):  # a number that canonical bytes have no room for: it stays unsigned
            return said
