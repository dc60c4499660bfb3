"""What a mutant is: a name, the promise it breaks, and how it is put into the product's code and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tests.simulation import instruments

EXACTLY_ONCE: Final = "exactly once, in order"
NO_DEFECT: Final = "no defect"
MISSING: Final = object()
"""What an attribute was that only instances have."""


class Room(StrEnum):
    """Where the code stands that a mutant changes."""

    SHELL = "shell"
    CORE = "core"
    KEYSTORE = "keystore"


def do_nothing(*_: Any, **__: Any) -> None:
    """What takes the place of something that is left out."""


class Patches:
    """Attributes that were replaced, and what they were."""

    def __init__(self) -> None:
        self._former: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> Any:
        """Replace an attribute of a module or class, and return what it was; of a class as it stands there, unbound."""
        former = vars(owner).get(name, MISSING)
        self._former.append((owner, name, former))
        setattr(owner, name, value)
        return former

    def undo(self) -> None:
        while self._former:
            owner, name, former = self._former.pop()
            if former is MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, former)


@dataclass(frozen=True)
class Mutant:
    """`breaks` says in one sentence what is wrong with it. `invariant` is the one it was made for.

    `starts_at`: a seed that is known to show it, tried first; or `schedule`, a file of tests/simulation/schedules. `history`:
    the commit that cured this fault when it was real.
    """

    name: str
    room: Room
    breaks: str
    invariant: str
    put_in: Callable[[Patches], None]
    starts_at: int = 0
    history: str = ""
    schedule: str = ""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The product with this fault in it."""
        instruments.listen(None)  # they wrap real code, so that a mutant is what they look at, or wraps them
        patches = Patches()
        try:
            self.put_in(patches)
            yield
        finally:
            patches.undo()


class Catalogue(list[Mutant]):
    """The mutants of one room, in the order of their making."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self.room = room

    def add(
        self, name: str, breaks: str, invariant: str, *, starts_at: int = 0, history: str = "", schedule: str = ""
    ) -> Callable[[Callable[[Patches], None]], None]:
        """Decorate the function that puts a fault in."""

        def keep(put_in: Callable[[Patches], None]) -> None:
            self.append(Mutant(name, self.room, breaks, invariant, put_in, starts_at, history, schedule))

        return keep
