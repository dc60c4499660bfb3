"""The index of a node's chats: a row each, so that what spans chats needs no chat object."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from hermes_core.ids import ChatId, NodeId
from hermes_core.protocol.timers import TimerHeap
from hermes_core.relay.neighbour import Neighbour

LATE_S: Final = 30.0
"""Frames may come for so long whose sender had not heard yet how a chat changed."""
_NEVER: Final = float("-inf")


class Row:
    """One chat: the neighbours of its two hops, what each was last told of its path (a bit each), whether it is to be settled.

    `put_in` is the number of the output whose put the chat relies on; what it sends may leave once that is durable. A put that
    was made early is relied on from `rely_on_early` on. `changed_at`: when it last became another way that its frames take.
    """

    __slots__ = ("_early_put_in", "_told", "_touched", "changed_at", "chat_id", "neighbours", "put_in")

    def __init__(self, chat_id: ChatId, neighbours: tuple[Neighbour, Neighbour]) -> None:
        self.chat_id = chat_id
        self.neighbours = neighbours
        self._told = 0
        self._touched = False
        self.put_in = 0
        self._early_put_in = 0
        self.changed_at = _NEVER

    def note_change(self, now: float) -> None:
        """Its frames take another way from now on, or are under other keys."""
        self.changed_at = now

    def changed_lately(self, now: float) -> bool:
        """Whether a frame that does not fit may have been right when it was sent."""
        return now < self.changed_at + LATE_S

    @property
    def spans_nodes(self) -> bool:
        """Another node takes part."""
        return any(neighbour.node_id is not None for neighbour in self.neighbours)

    def note_put(self, output: int) -> None:
        """The output of this number carries what has to be stored of the chat."""
        self.put_in = output

    def note_early_put(self, output: int) -> None:
        """The output of this number carries what may be stored of the chat already."""
        self._early_put_in = output

    def rely_on_early(self) -> None:
        """What the chat sends depends on the latest early put."""
        self.put_in = max(self.put_in, self._early_put_in)

    def share_names(self, names: dict[Neighbour, Neighbour]) -> None:
        """Rows of one neighbour share the object that names it: there may be 100,000 of them."""
        first, second = (names.setdefault(neighbour, neighbour) for neighbour in self.neighbours)
        self.neighbours = (first, second)

    def rebind(self, index: int, neighbour: Neighbour) -> None:
        """Hop `index` leads to another neighbour, which was told nothing yet. The index calls this."""
        first, second = self.neighbours
        self.neighbours = (neighbour, second) if index == 0 else (first, neighbour)
        self.note_told(index, up=False)

    def touch(self) -> bool:
        """The chat is to be settled; True when it was not before."""
        fresh, self._touched = not self._touched, True
        return fresh

    def settled(self) -> None:
        self._touched = False

    def was_told_up(self, index: int) -> bool:
        """What the neighbour of this hop was last told: whether its frames would reach the far app."""
        return bool(self._told >> index & 1)

    def note_told(self, index: int, *, up: bool) -> None:
        self._told = self._told | 1 << index if up else self._told & ~(1 << index)

    def index_of(self, neighbour: Neighbour) -> int | None:
        """Which hop leads to `neighbour`; None when it is no party of the chat."""
        first, second = self.neighbours
        if neighbour == first:
            return 0
        return 1 if neighbour == second else None


class ChatIndex:
    """Rows by chat and by neighbour, and each row's deadline. Dicts serve as ordered sets: equal inputs give equal outputs."""

    def __init__(self) -> None:
        self._rows: dict[ChatId, Row] = {}
        self._by_neighbour: dict[Neighbour, dict[ChatId, Row]] = {}
        self._names: dict[Neighbour, Neighbour] = {}
        self._nodes: dict[NodeId, None] = {}
        self._deadlines: TimerHeap[ChatId] = TimerHeap()
        self._spanning = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def __contains__(self, chat_id: ChatId) -> bool:
        return chat_id in self._rows

    @property
    def spanning(self) -> int:
        """How many chats another node takes part in."""
        return self._spanning

    @property
    def nodes(self) -> Collection[NodeId]:
        """The other nodes that take part in chats."""
        return self._nodes.keys()

    def find(self, chat_id: ChatId | None) -> Row | None:
        return None if chat_id is None else self._rows.get(chat_id)

    def knows(self, neighbour: Neighbour) -> bool:
        return neighbour in self._by_neighbour

    def rows_of(self, neighbour: Neighbour, limit: int | None = None) -> list[Row]:
        return list(islice(self._by_neighbour.get(neighbour, {}).values(), limit))

    def count_of(self, neighbour: Neighbour) -> int:
        return len(self._by_neighbour.get(neighbour, ()))

    def add(self, row: Row) -> None:
        self._rows[row.chat_id] = row
        self._remember(row)

    def remove(self, row: Row) -> None:
        del self._rows[row.chat_id]
        self._forget(row)
        self._deadlines.cancel(row.chat_id)

    def rebind(self, row: Row, index: int, neighbour: Neighbour) -> None:
        """Hop `index` of a chat leads to another neighbour from now on."""
        self._forget(row)
        row.rebind(index, neighbour)
        self._remember(row)

    def _remember(self, row: Row) -> None:
        row.share_names(self._names)
        for neighbour in row.neighbours:
            self._by_neighbour.setdefault(neighbour, {})[row.chat_id] = row
            if neighbour.node_id is not None:
                self._nodes[neighbour.node_id] = None
        self._spanning += row.spans_nodes

    def _forget(self, row: Row) -> None:
        for neighbour in row.neighbours:
            rows = self._by_neighbour[neighbour]
            del rows[row.chat_id]
            if not rows:
                del self._by_neighbour[neighbour]
                self._names.pop(neighbour, None)
                if neighbour.node_id is not None:
                    del self._nodes[neighbour.node_id]
        self._spanning -= row.spans_nodes

    # deadlines

    def schedule(self, row: Row, when: float | None) -> None:
        """Look at the chat at `when`, unless it is looked at earlier anyway."""
        if when is not None:
            self._deadlines.schedule(row.chat_id, when)

    def next_due(self) -> float | None:
        return self._deadlines.next_due()

    def pop_due(self, now: float, limit: int) -> list[Row]:
        """Chats whose deadline has come, each once, at most `limit`, the earliest first."""
        return [self._rows[chat_id] for chat_id in self._deadlines.pop_due(now, limit)]
