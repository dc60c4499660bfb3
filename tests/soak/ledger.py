"""The ledger of a soak: what each app said, heard and noticed, held against what Hermes promises.

A direction of a chat is what one app says in it. An app that was killed may get again what it had not acknowledged (its own
file knows), as the first thing of its next life and in order; an app whose store was put back has forgotten what it said since,
as far as nobody heard it. Everything else that is missing, comes twice or comes late is a broken promise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.soak.content import Item

NOTHING = Item(0, 0)


@dataclass(slots=True)
class Direction:
    """`sent` maps what was said to its seq; `acknowledged` is the highest seq that the sender knows to be taken."""

    sent: dict[Item, int] = field(default_factory=dict)
    got: set[Item] = field(default_factory=set)
    highest: Item = NOTHING
    acknowledged: int = 0
    forgotten_life: int = 0
    """What was said in this life, and before, and was never heard, went with a store that was put back."""
    life: int = 0
    """Of the receiver. Its first messages may be ones that came before: `again` is the last such."""
    again: Item | None = None
    last_seq: int = 0
    heard_at: float | None = None


@dataclass(slots=True)
class ChatFacts:
    """What both ends told of a chat. `ends` maps each app that told of its end to the reason."""

    apps: set[str] = field(default_factory=set)
    ends: dict[str, str] = field(default_factory=dict)
    deleted_by: set[str] = field(default_factory=set)
    paths: list[tuple[float, str, str]] = field(default_factory=list)
    """(time, app, "up" | "moved"): what tells which moves crossed."""


@dataclass(frozen=True, slots=True, order=True)
class SilenceSeen:
    """Between two messages of one direction: seconds, when it began (of the run), the chat and the app that heard nothing."""

    seconds: float
    began: float
    chat: str
    app: str


class Ledger:
    """Fed with every app's events, in each app's order."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.directions: dict[tuple[str, str], Direction] = {}
        self.chats: dict[str, ChatFacts] = {}
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        """messages, sent, again, state-lost, moves, …"""
        self.refusals: Counter[str] = Counter()
        self.minutes: Counter[int] = Counter()
        self.silences: list[SilenceSeen] = []
        self.names: dict[str, str] = {}
        """App ids, and the apps of the soak."""

    def record(self, app: str, event: list[Any]) -> None:
        time, life, what, *values = event
        match what, values:
            case "open", [app_id, _]:
                self.names[app_id] = app
            case "chat", [chat, peer]:
                self._chat(chat).apps |= {app, self.names.get(peer, peer)}
            case "sent", [chat, number, seq]:
                self._direction(chat, app).sent[Item(life, number)] = seq
                self.counts["sent"] += 1
            case "got", [chat, seq, said_life, number]:
                self._hear(app, chat, seq, Item(said_life, number), life, time)
            case "ended", [chat, reason, _, acknowledged]:
                self._chat(chat).ends[app] = reason
                self._acknowledge(chat, app, acknowledged)
            case "state", [_, _, _, chats]:
                for chat, _, acknowledged, *_ in chats:
                    self._acknowledge(chat, app, acknowledged)
            case "deleting", [chat]:
                self._chat(chat).deleted_by.add(app)
            case "state-lost", [chat, *_]:
                self.counts["state-lost"] += 1
                for other in self._chat(chat).apps - {app}:
                    self._direction(chat, other).last_seq = 0
            case (("up" | "moved"), [chat, *_]):
                self._chat(chat).paths.append((time, app, what))
                self.counts["moves"] += what == "moved"
            case (("refused" | "not-accepted" | "not-rekeyed"), [*_, code]):
                self.refusals[f"{what} {code}"] += 1
            case (("defect" | "client-closed"), texts):
                self._break(f"{app}: {what}: {' '.join(texts)}")
            case "rekeyed", _:
                self.counts["rekeyed"] += 1

    def put_back(self, app: str, life: int) -> None:
        """The store of this app is an older copy; `life` was its last one before."""
        for (_, sender), direction in self.directions.items():
            if sender == app:
                direction.forgotten_life = life

    def _hear(self, app: str, chat: str, seq: int, item: Item, life: int, time: float) -> None:
        other = next(iter(self._chat(chat).apps - {app}), "?")
        direction = self._direction(chat, other)
        if item == NOTHING:
            self._break(f"chat {chat[:8]}: {app} got something that nobody said, seq {seq}")
            return
        if life != direction.life:
            direction.life, direction.again, direction.last_seq = life, NOTHING, 0
        if direction.last_seq and seq != direction.last_seq + 1:
            self._break(f"chat {chat[:8]}: {app} got seq {seq} after {direction.last_seq}")
        direction.last_seq = seq
        if direction.again is not None and life > 1 and direction.again < item and item in direction.got:
            direction.again = item
            self.counts["again"] += 1
            return
        if item in direction.got:
            self._break(f"chat {chat[:8]}: {app} got {_name(other, item)} twice (doubled)")
            return
        if item < direction.highest:
            self._break(f"chat {chat[:8]}: {app} got {_name(other, item)} after {_name(other, direction.highest)} (reordered)")
        direction.again = None
        direction.got.add(item)
        direction.highest = max(direction.highest, item)
        self.counts["messages"] += 1
        self.minutes[int((time - self._began) // 60)] += 1
        if direction.heard_at is not None:
            self._note_silence(SilenceSeen(time - direction.heard_at, direction.heard_at - self._began, chat, app))
        direction.heard_at = time

    def _note_silence(self, seen: SilenceSeen) -> None:
        self.silences.append(seen)
        if len(self.silences) > 1000:
            self.silences = sorted(self.silences, reverse=True)[:100]

    def close(self, live: dict[str, set[str]]) -> None:
        """The end, once what could arrive has arrived: `live` maps chats that are alive to the apps that have them."""
        for (chat, sender), direction in self.directions.items():
            apps = self._chat(chat).apps
            settled = len(apps) == 2 and live.get(chat) == apps
            lost = self.find_lost(direction, settled=settled)
            if lost:
                first = ", ".join(_name(sender, item) for item in lost[:3])
                self._break(f"chat {chat[:8]}: {len(lost)} lost: {first}")
            self.counts["lost"] += len(lost)
        for chat, holders in live.items():
            if len(holders) == 1 and len(self._chat(chat).apps) == 2:
                self._break(f"chat {chat[:8]}: only {next(iter(holders))} has it still, the other end is gone")

    @staticmethod
    def find_lost(direction: Direction, *, settled: bool) -> list[Item]:
        """What was said and never heard: whatever was acknowledged; all of it once a chat that is alive has `settled`."""
        numbers: Counter[int] = Counter()
        for item in (*direction.sent, *direction.got):
            numbers[item.life] = max(numbers[item.life], item.number)
        last_got: Counter[int] = Counter()
        for item in direction.got:
            last_got[item.life] = max(last_got[item.life], item.number)
        lost = []
        for life, count in numbers.items():
            for item in (Item(life, number) for number in range(1, count + 1)):
                if item in direction.got:
                    continue
                overtaken = item.number < last_got[life]
                forgotten = life <= direction.forgotten_life
                acknowledged = direction.sent.get(item, direction.acknowledged + 1) <= direction.acknowledged
                if overtaken or (not forgotten and (acknowledged or settled or _later_life_heard(item, last_got))):
                    lost.append(item)
        return lost

    def crossings(self) -> int:
        """Moves of a chat's two apps of which the second began before the first was through: no end was up in between."""
        found = 0
        for facts in self.chats.values():
            mover = ""
            for _, app, what in sorted(facts.paths):
                if what == "up":
                    mover = ""
                elif mover and mover != app:
                    found += 1
                    mover = ""
                else:
                    mover = app
        return found

    def movers(self, chat: str, since: float) -> set[str]:
        """Apps that moved the chat since then."""
        return {app for time, app, what in self._chat(chat).paths if what == "moved" and time >= since}

    def ends(self) -> Counter[str]:
        """Chats that are over, by the reasons that both ends told."""
        found: Counter[str] = Counter()
        for facts in self.chats.values():
            if facts.ends:
                asked = "asked for" if facts.deleted_by else "closed"
                found[f"{asked}: {' / '.join(sorted(facts.ends.values()))}"] += 1
        return found

    def _break(self, text: str) -> None:
        self.violations.append(text)

    def _acknowledge(self, chat: str, app: str, seq: int) -> None:
        self._direction(chat, app).acknowledged = seq

    def _chat(self, chat: str) -> ChatFacts:
        return self.chats.setdefault(chat, ChatFacts())

    def _direction(self, chat: str, sender: str) -> Direction:
        return self.directions.setdefault((chat, sender), Direction())


def _later_life_heard(item: Item, last_got: Counter[int]) -> bool:
    return any(life > item.life and number for life, number in last_got.items())


def _name(sender: str, item: Item) -> str:
    return f"{sender}'s message {item.life}.{item.number}"
