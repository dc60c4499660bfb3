"""Whether anybody saw a later state of this node's keystore than the one it opened; until that is known no old chat goes on.

The witnesses of a node are three members on the hash ring; those of its former run are asked as well, by their stored names.
Each says what mark it holds when its link comes up, before this node sends its own: so a mark is never replaced before it was
judged. An answer counts once its sender's list of members has come as well, on the same link: before that, whoever comes first
may be the only member known, and those who were witnesses would not be waited for. Pure.

WAITING ──── two answered, or all that are up, or the operator ────► VERIFIED
   │ ─────── nobody did in time ──────────────────────────────────► UNVERIFIED ── one does later ──► VERIFIED
   └──────── there is nobody ─────────────────────────────────────► ALONE
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.ids import NodeId
from hermes_core.mesh.ring import HashRing

WITNESSES: Final = 3
ENOUGH_ANSWERS: Final = 2
SEND_EVERY_S: Final = 1.0
"""A mark that changed is sent this often; what was committed since is what a rollback can hide."""
MAX_REMEMBERED: Final = 2 * WITNESSES
"""Names of witnesses that are kept for the next start: the present ones, and those before them."""


class OpeningState(Enum):
    """What is known of this opening. Chats of before it wait in WAITING alone."""

    WAITING = auto()
    VERIFIED = auto()
    UNVERIFIED = auto()
    ALONE = auto()


@dataclass(frozen=True, slots=True)
class OpeningParams(Limited):
    """`hermes_core.limits` says what each field means."""

    witness_wait_s: limits.WitnessWaitS = default(limits.WitnessWaitS)
    opening_wait_s: limits.OpeningWaitS = default(limits.OpeningWaitS)


@dataclass(slots=True)
class CheckOutput:
    """`send_to`: witnesses that are to get the present mark. `remember`: names to store, None when they are the stored ones.

    `became`: the state, when it changed.
    """

    send_to: list[NodeId] = field(default_factory=list)
    remember: tuple[NodeId, ...] | None = None
    became: OpeningState | None = None


class OpeningCheck:
    """The owner of the opening's state, and of who has which mark of ours."""

    def __init__(self, own: NodeId, former: Iterable[NodeId], params: OpeningParams, now: float) -> None:
        """`former`: the names that `CheckOutput.remember` gave to the run before, newest first."""
        self._own = own
        self._params = params
        self._ring = HashRing()
        self._remembered = tuple(former)
        self._former = frozenset(self._remembered)
        self._witnesses: tuple[NodeId, ...] = ()
        self._answered: set[NodeId] = set()
        self._listed: set[NodeId] = set()
        self._operator_answered = False
        self._sent: dict[NodeId, int] = {}
        self._counter = 0
        self._send_at = now
        self._ends_at = now + params.opening_wait_s
        self._joined = False
        self._state = OpeningState.WAITING
        self._output = CheckOutput()

    @property
    def state(self) -> OpeningState:
        return self._state

    @property
    def witnesses(self) -> tuple[NodeId, ...]:
        """Those on the ring; empty before a live member was met."""
        return self._witnesses

    @property
    def wanted(self) -> tuple[NodeId, ...]:
        """Whose word is waited for, or will be sent to: those on the ring, and while chats wait those of before."""
        former = self._remembered if self._state is OpeningState.WAITING else ()
        return tuple(dict.fromkeys((*self._witnesses, *former)))

    # what happens

    def update_members(self, alive: Collection[NodeId], now: float) -> None:
        """The members that live, this node left out; before an exchange with one of them there is nothing to say."""
        if not alive and not self._joined:
            return
        if not self._joined:
            self._joined = True
            self._ends_at = min(self._ends_at, now + self._params.witness_wait_s)
        if self._ring.set_members(alive):
            self._choose(now)
        self._judge()

    def _choose(self, now: float) -> None:
        chosen = self._ring.find(self._own.encode(), WITNESSES, without=self._own)
        if chosen == self._witnesses:
            return
        self._witnesses = chosen
        self._send_at = now  # a new witness gets the mark at once
        remembered = tuple(dict.fromkeys((*chosen, *self._remembered)))[:MAX_REMEMBERED]
        if chosen and remembered != self._remembered:
            self._remembered = self._output.remember = remembered

    def link_down(self, node_id: NodeId) -> None:
        """What was said on a link is said again on the next one."""
        self._answered.discard(node_id)
        self._listed.discard(node_id)
        self._sent.pop(node_id, None)

    def take_answer(self, node_id: NodeId, now: float) -> None:
        """This member said what it holds of us, and that was judged."""
        self._answered.add(node_id)
        if node_id in self._witnesses:
            self._send_at = now
        self._judge()

    def take_list(self, node_id: NodeId) -> None:
        """This member said whom it knows, and `update_members` was told."""
        self._listed.add(node_id)
        self._judge()

    def take_operator_answer(self) -> None:
        """The operator said what it holds of us, and that was judged: it outlives every node, so its word is enough."""
        self._operator_answered = True
        self._judge()

    def find_nobody(self) -> None:
        """The mesh has no other member by design; one that ever had a witness waits for it none the less."""
        if self._state is OpeningState.WAITING and not self._joined and not self._former:
            self._become(OpeningState.ALONE)

    def note_counter(self, counter: int, now: float) -> None:
        """How far the keystore is durable."""
        if counter != self._counter:
            self._counter = counter
            if now >= self._send_at:
                self._send(now)

    # what follows

    def _judge(self) -> None:
        if self._state is OpeningState.VERIFIED:
            return
        expected = {*self._witnesses, *self._former}
        answered = expected & self._answered & self._listed
        alive = expected & self._ring.members
        if self._operator_answered or len(answered) >= ENOUGH_ANSWERS or (alive and alive <= answered):
            self._become(OpeningState.VERIFIED)

    def _become(self, state: OpeningState) -> None:
        if state is not self._state:
            self._state = self._output.became = state

    def _send(self, now: float) -> None:
        self._send_at = now + SEND_EVERY_S
        for witness in self._witnesses:
            if witness in self._answered and self._sent.get(witness) != self._counter:
                self._sent[witness] = self._counter
                self._output.send_to.append(witness)

    # time

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do."""
        ends_at = self._ends_at if self._state is OpeningState.WAITING else None
        behind = any(witness in self._answered and self._sent.get(witness) != self._counter for witness in self._witnesses)
        send_at = self._send_at if behind else None
        return min((due for due in (ends_at, send_at) if due is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._state is OpeningState.WAITING and now >= self._ends_at:
            self._become(OpeningState.UNVERIFIED)
        if now >= self._send_at:
            self._send(now)

    def take_output(self) -> CheckOutput:
        taken, self._output = self._output, CheckOutput()
        return taken
