"""Places that many want, shared alike: whoever holds most of them gives way to whoever holds fewer.

A holder is named by a path, from what is widest to itself: a network and an address in it, a node and an app that it names.
Places are shared alike between the widest, then within each: many names in one network count for one.
"""

from __future__ import annotations

from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

Path = tuple[str, ...]


class Shares(Generic[ItemT]):
    """The owner of who holds what. Items are remembered in the order in which they came."""

    def __init__(self) -> None:
        self._paths: dict[ItemT, Path] = {}
        self._counts: dict[Path, int] = {}
        self._below: dict[Path, dict[Path, None]] = {}
        self._items: dict[Path, dict[ItemT, None]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, item: ItemT, path: Path) -> None:
        self._paths[item] = path
        for end in range(1, len(path) + 1):
            self._counts[path[:end]] = self._counts.get(path[:end], 0) + 1
            self._below.setdefault(path[: end - 1], {})[path[:end]] = None
        self._items.setdefault(path, {})[item] = None

    def remove(self, item: ItemT) -> Path | None:
        """Who held it; None when nobody did."""
        path = self._paths.pop(item, None)
        if path is None:
            return None
        items = self._items[path]
        del items[item]
        if not items:
            del self._items[path]
        for end in range(len(path), 0, -1):
            prefix = path[:end]
            self._counts[prefix] -= 1
            if not self._counts[prefix]:
                del self._counts[prefix]
                wider = self._below[prefix[:-1]]
                del wider[prefix]
                if not wider:
                    del self._below[prefix[:-1]]
        return path

    def count_of(self, prefix: Path) -> int:
        """How many are held by whoever has a path that begins so."""
        return self._counts.get(prefix, 0)

    def oldest(self) -> ItemT | None:
        return next(iter(self._paths), None)

    def find_to_give_way(self, path: Path) -> ItemT | None:
        """What gives way to one more of this holder's: the oldest of whoever has most. None when that has no more than it."""
        prefix: Path = ()
        while below := self._below.get(prefix):
            own = path[: len(prefix) + 1]
            largest = max(below, key=self._counts.__getitem__)
            if self._counts[largest] > self._counts.get(own, 0) + 1:
                return self._oldest_below(largest)
            prefix = own
            if len(prefix) == len(path):
                return None
        return None

    def _oldest_below(self, prefix: Path) -> ItemT:
        while below := self._below.get(prefix):
            prefix = max(below, key=self._counts.__getitem__)
        return next(iter(self._items[prefix]))
