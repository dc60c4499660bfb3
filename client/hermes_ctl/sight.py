"""Who of a mesh sees whom, as a matrix; what does not agree, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from hermes_proto.v2.admin_pb2 import MeshMembers

MOST_SHOWN: Final = 40
"""Nodes; of more only those are shown of whom there is something to say."""
MOST_NAMED: Final = 5
SLOW: Final = 2
"""Local health from which on a node says that it is the slow one."""
_RED, _YELLOW, _DIM, _PLAIN = "\033[1;31m", "\033[33m", "\033[2m", "\033[0m"


class View(Enum):
    """What a node says of another one: a sign for people, a word for programs and sentences."""

    SELF = "·", "self"
    LINKED = "=", "linked"
    ALIVE = "+", "alive"
    UNREACHED = "#", "unreached"
    SUSPECT = "?", "suspect"
    DEAD = "X", "dead"
    LEFT = "<", "left"
    UNKNOWN = "!", "unknown"

    def __init__(self, sign: str, word: str) -> None:
        self.sign = sign
        self.word = word


LEGEND: Final = "   ".join(
    f"{view.sign} {text}"
    for view, text in (
        (View.LINKED, "alive, and a stream stands"),
        (View.ALIVE, "alive"),
        (View.UNREACHED, "alive, and out of reach from here"),
        (View.SUSPECT, "suspect"),
        (View.DEAD, "dead"),
        (View.LEFT, "left"),
        (View.UNKNOWN, "not known"),
    )
)
_WELL: Final = (View.LINKED, View.ALIVE)
_UP: Final = (*_WELL, View.UNREACHED)
_STATES: Final = {"alive": View.ALIVE, "suspect": View.SUSPECT, "dead": View.DEAD, "left": View.LEFT}
_DOUBTS: Final = {View.DEAD: "dead for", View.LEFT: "gone for", View.UNKNOWN: "not known to", View.SUSPECT: "suspect for"}
_CURES: Final = {
    View.UNREACHED: ("look at the network between their two machines, port 7443", "HermesMembersApart"),
    View.DEAD: ("look at what the nodes that hold it for dead say of their dials", "HermesMeshPartitioned"),
    View.LEFT: ("it is being stopped, or began anew: ask again in a minute", "HermesMeshPartitioned"),
    View.UNKNOWN: ("it joins within a minute, or its log says at mesh_seed_failed why not", "HermesMeshPartitioned"),
    View.SUSPECT: ("ask again in a minute: a suspicion ends, one way or the other", "HermesMemberFlapping"),
    View.SELF: ("end all but one of the processes with that name", "HermesMemberLies"),
}
_SLOW_CURE: Final = ("begin with those that find themselves slow: they are wrong of others", "HermesMemberSlow")
_SILENT_CURE: Final = ("who does not answer: does it run, and is that its mesh's token?", "HermesMeshDegraded")


class Broken(NamedTuple):
    """What does not agree: `by` say `view` of `of`."""

    view: View
    of: str
    by: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What nodes see. `seen`: by the node that was asked, of each other one; `silent`: who could not be asked, and why.

    `answers`: how many answered under each name; `health`: how slow each finds itself, 0 (well) to 8.
    """

    seen: Mapping[str, Mapping[str, View]]
    silent: Mapping[str, str]
    answers: Mapping[str, int]
    health: Mapping[str, int]

    @classmethod
    def of(cls, answers: Sequence[MeshMembers], silent: Mapping[str, str]) -> Sight:
        """`silent`: by what the caller calls them."""
        seen, health = {}, {}
        count: Counter[str] = Counter()
        for answer in answers:
            entry = next(entry for entry in answer.members if entry.self)
            own = entry.node_id
            count[own] += 1
            health[own] = entry.local_health
            seen[own] = {entry.node_id: _view(entry) for entry in answer.members}
        return cls(seen, silent, count, health)

    @property
    def names(self) -> list[str]:
        """Every node that was asked, or that any of them knows."""
        return sorted({*self.seen, *(name for others in self.seen.values() for name in others)}, key=_by_number)

    def cell(self, by: str, of: str) -> View | None:
        """None: nobody answered for `by`."""
        others = self.seen.get(by)
        return None if others is None else others.get(of, View.UNKNOWN)

    def list_broken(self) -> list[Broken]:
        """The worst first; each node of whom others are wrong once for each thing they say, each pair once."""
        found = self._list_apart()
        for view, words in _DOUBTS.items():
            for of in self.names:
                by = self._list_who_says(view, of)
                witness = self._find_witness(of, by)
                if by and witness:
                    found.append(Broken(view, of, by, f"{of} is {words} {_name_some(by)}, and {witness}"))
        for name, count in self.answers.items():
            if count > 1:
                text = f"{name} answered {count} times: several processes have its name, or it was asked twice"
                found.append(Broken(View.SELF, name, (name,), text))
        return found

    def list_gone(self) -> list[str]:
        """Who is dead, gone or not known for all who answer."""
        down = (View.DEAD, View.LEFT, View.UNKNOWN)
        return [of for of in self.names if of not in self.seen and all(self.cell(by, of) in down for by in self.seen)]

    def format(self, *, colours: bool = False) -> str:
        broken, gone = self.list_broken(), self.list_gone()
        shown = self._choose_shown(broken, gone)
        parts = []
        if shown:
            parts += [
                self._format_matrix(
                    shown, {pair for b in broken for by in b.by for pair in ((by, b.of), (b.of, by))}, colours=colours
                ),
                LEGEND,
            ]
        if len(shown) < len(self.names):
            parts.append(f"{len(self.names) - len(shown)} nodes are not shown: they see all, and are seen by all, that live")
        if gone:
            parts.append(f"dead or gone for all who answer: {', '.join(gone)}")
        if self.silent:
            told = [why if name in why else f"{name}: {why}" for name, why in sorted(self.silent.items())]
            parts.append("\n".join(f"no answer: {line}" for line in told))
        if broken:
            said = "\n".join(b.text for b in broken)
            parts.append(f"{_RED}{said}{_PLAIN}" if colours else said)
        elif len(self.seen) > 1:
            parts.append("all who answer are seen by all")
        elif self.seen:
            parts.append("one node answered: nobody else says whom it sees")
        cures = [_SLOW_CURE] if broken and max(self.health.values(), default=0) >= SLOW else []
        cures += [*dict.fromkeys(_CURES[b.view] for b in broken), *([_SILENT_CURE] if self.silent else [])]
        if cures:
            parts.append("what to do:\n" + "\n".join(f"  {cure} (docs/runbooks/{page}.md)" for cure, page in cures))
        return "\n\n".join(parts)

    def _list_apart(self) -> list[Broken]:
        found = []
        for of in self.names:
            for by in self._list_who_says(View.UNREACHED, of):
                mutual = self.cell(of, by) is View.UNREACHED
                if not mutual:
                    found.append(Broken(View.UNREACHED, of, (by,), f"{by} does not reach {of}, and others do"))
                elif by < of:
                    text = f"{by} and {of} do not reach each other, and others reach both"
                    found.append(Broken(View.UNREACHED, of, (by,), text))
        return found

    def _list_who_says(self, view: View, of: str) -> tuple[str, ...]:
        return tuple(by for by in self.names if by != of and self.cell(by, of) is view)

    def _find_witness(self, of: str, by: Collection[str]) -> str | None:
        """What contradicts them: it answered whoever asks here, or another one sees it."""
        if of in self.seen:
            return "it answers"
        others = [other for other in self.names if other not in by and self.cell(other, of) in _UP]
        return f"{_name_some(others)} {'sees' if len(others) == 1 else 'see'} it" if others else None

    def _choose_shown(self, broken: Collection[Broken], gone: Collection[str]) -> list[str]:
        if len(self.names) <= MOST_SHOWN:
            return self.names
        told = {name for b in broken for name in (b.of, *b.by)} | set(gone) | set(self.silent)
        told |= {name for name, slow in self.health.items() if slow >= SLOW}
        return [name for name in self.names if name in told][:MOST_SHOWN]

    def _format_matrix(self, names: Sequence[str], wrong: Collection[tuple[str, str]], *, colours: bool) -> str:
        """A column has the number of the row of the same node: names would make it wider than a terminal."""
        number, name_width = len(str(len(names))), max(map(len, names))
        head = " ".join(f"{column:>{number}}" for column in range(1, len(names) + 1))
        lines = [f"{'':{number}} {'SEES':{name_width}}  {head}"]
        for row, by in enumerate(names, 1):
            start = f"{row:>{number}} {by:{name_width}}  "
            if by not in self.seen:
                lines.append(f"{start}{'no answer' if self.silent else 'not asked'}")
                continue
            views = [self.seen[by].get(of, View.UNKNOWN) for of in names]
            cells = [
                _paint(view, number, is_wrong=(by, of) in wrong, colours=colours) for view, of in zip(views, names, strict=True)
            ]
            slow = self.health[by]
            lines.append(start + " ".join(cells) + (f"  slow: {slow} of 8" if slow >= SLOW else ""))
        return "\n".join(lines)


def _view(entry: MeshMembers.Entry) -> View:
    if entry.self:
        return View.SELF
    view = _STATES.get(entry.state, View.UNKNOWN)
    if view is not View.ALIVE:
        return view
    return View.UNREACHED if entry.unreached else View.LINKED if entry.linked else View.ALIVE


def _paint(view: View, width: int, *, is_wrong: bool, colours: bool) -> str:
    cell = f"{view.sign:>{width}}"
    if not colours or view in (View.SELF, *_WELL):
        return cell
    colour = (_YELLOW if view is View.SUSPECT else _RED) if is_wrong else _DIM
    return f"{colour}{cell}{_PLAIN}"


def _name_some(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMED - 1])} and {len(names) - MOST_NAMED + 1} more"


def _by_number(name: str) -> tuple[str, int, str]:
    """demo-10 comes after demo-9."""
    stem, _, ordinal = name.rpartition("-")
    return (stem, int(ordinal), name) if ordinal.isascii() and ordinal.isdigit() else (name, -1, name)
