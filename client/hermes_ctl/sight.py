"""Who of a mesh sees whom: what each node says of every other one, as a matrix, and the pairs that do not agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hermes_ctl.output import format_table
from hermes_proto.v2.admin_pb2 import MeshMembers

SELF: Final = "·"
LINKED: Final = "="
ALIVE: Final = "+"
SUSPECT: Final = "?"
DEAD: Final = "X"
LEFT: Final = "<"
UNKNOWN: Final = "!"
NO_ANSWER: Final = " "
LEGEND: Final = (
    f"{LINKED} alive, and a stream stands   {ALIVE} alive   {SUSPECT} suspect   {DEAD} dead   {LEFT} left   {UNKNOWN} not known"
)
_STATES: Final = {"alive": ALIVE, "suspect": SUSPECT, "dead": DEAD, "left": LEFT}
_WORDS: Final = {SUSPECT: "suspect", DEAD: "dead", LEFT: "gone", UNKNOWN: "not there"}


@dataclass(frozen=True, slots=True)
class Sight:
    """What nodes see. `seen`: by the node that was asked, of each other one; `silent`: who could not be asked, and why."""

    seen: Mapping[str, Mapping[str, str]]
    silent: Mapping[str, str]

    @classmethod
    def of(cls, answers: Sequence[MeshMembers], silent: Mapping[str, str]) -> Sight:
        """`silent`: by what the caller calls them."""
        seen = {}
        for answer in answers:
            own = next(entry.node_id for entry in answer.members if entry.self)
            seen[own] = {entry.node_id: _mark(entry) for entry in answer.members}
        return cls(seen, silent)

    @property
    def names(self) -> list[str]:
        """Every node that was asked, or that any of them knows."""
        return sorted({*self.seen, *(name for others in self.seen.values() for name in others)})

    def cell(self, by: str, of: str) -> str:
        others = self.seen.get(by)
        return NO_ANSWER if others is None else others.get(of, UNKNOWN)

    def list_broken(self) -> list[str]:
        """One line for each node that somebody does not see, although it answered us or others see it."""
        broken = []
        for by in self.seen:
            for of in self.names:
                mark = self.cell(by, of)
                if mark not in _WORDS:
                    continue
                seen_by = [other for other in self.seen if other != by and self.cell(other, of) in (ALIVE, LINKED)]
                if of in self.seen or seen_by:
                    witness = "it answers" if of in self.seen else f"{seen_by[0]} sees it"
                    broken.append(f"{by} holds {of} for {_WORDS[mark]}, and {witness}")
        return broken

    def format(self) -> str:
        names = self.names
        rows = [[by, *(self.cell(by, of) for of in names)] for by in names if by in self.seen]
        parts = [format_table(("sees", *names), rows), LEGEND]
        if self.silent:
            parts.append("\n".join(f"no answer: {name}: {why}" for name, why in sorted(self.silent.items())))
        broken = self.list_broken()
        parts.append("\n".join(broken) if broken else "all who answer are seen by all")
        return "\n\n".join(parts)


def _mark(entry: MeshMembers.Entry) -> str:
    if entry.self:
        return SELF
    return LINKED if entry.linked and entry.state == "alive" else _STATES.get(entry.state, UNKNOWN)
