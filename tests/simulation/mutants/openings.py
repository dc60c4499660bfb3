"""Mutants in what a node makes of its opening: whether its keystore is the latest, and what time it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hermes_core import clock_peers
from hermes_core.clock_check import ClockJudgement
from hermes_core.clock_peers import SeenTime
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.rollback import RollbackSign
from hermes_core.relay.lifetime import Lifetime
from hermes_core.relay.resume_gate import ResumeGate
from hermes_keystore import history
from hermes_keystore import store as keystore_store
from hermes_node.keystore.last_seen import LastSeen
from tests.simulation.invariants.clocks import TimeGoesOn
from tests.simulation.invariants.dates import NothingEndsEarly, UnknownAgesAreRenewed
from tests.simulation.invariants.floors import FloorsHold
from tests.simulation.invariants.marks import MarksAreJudged
from tests.simulation.invariants.openings import ResumesWait
from tests.simulation.mutants.mutant import Catalogue, Patches, Room, do_nothing

OPENINGS = Catalogue(Room.KEYSTORE)


@OPENINGS.add("floor-ignored", "Nobody looks at the floor: a log that was cut is not noticed.", FloorsHold.name, starts_at=83)
def _(patches: Patches) -> None:
    patches.set(history, "judge_floor", do_nothing)


@OPENINGS.add(
    "lineage-forgotten",
    "A mark of an opening that is not known is taken for somebody else's.",
    MarksAreJudged.name,
    starts_at=50,
)
def _(patches: Patches) -> None:
    def judge(*args: Any) -> Any:
        verdict, rollback = former(*args)
        unknown = rollback is not None and rollback.sign is RollbackSign.UNKNOWN_OPENING
        return (MarkVerdict.IGNORED, None) if unknown else (verdict, rollback)

    former = patches.set(keystore_store, "judge_mark", judge)


@OPENINGS.add("clock-believed", "A node believes its clock at its start.", TimeGoesOn.name, starts_at=24)
def _(patches: Patches) -> None:
    patches.set(clock_peers, "judge_clock", lambda wall_s, _last_seen_s, **_others: ClockJudgement(wall_s))


@OPENINGS.add(
    "week-counts-at-each-start",
    "What nobody confirmed of the time is not remembered: each start counts as much again.",
    TimeGoesOn.name,
    starts_at=44,
)
def _(patches: Patches) -> None:
    def forget(self: LastSeen, seen: SeenTime) -> Any:
        return encode(self, replace(seen, unconfirmed_s=0.0))

    encode = patches.set(LastSeen, "encode", forget)


@OPENINGS.add(
    "doubt-ends-chats",
    "A clock that nobody confirms is doubted, and chats end by it all the same.",
    NothingEndsEarly.name,
    starts_at=97,
)
def _(patches: Patches) -> None:
    def judge(wall_s: float, last_seen_s: float | None, **others: Any) -> ClockJudgement:
        judged: ClockJudgement = former(wall_s, last_seen_s, **others)
        return judged if judged.doubt is None else replace(judged, time_s=wall_s)

    former = patches.set(clock_peers, "judge_clock", judge)


@OPENINGS.add("doubt-renews-nothing", "A clock that is in doubt has no keys renewed.", UnknownAgesAreRenewed.name, starts_at=24)
def _(patches: Patches) -> None:
    def restore(self: Lifetime, **found: Any) -> None:
        former(self, **found | {"keys_in_doubt": False})

    former = patches.set(Lifetime, "restore", restore)
    patches.set(Lifetime, "doubt_keys", do_nothing)


@OPENINGS.add("witness-gate-open", "Chats go on at once, whatever a witness may know.", ResumesWait.name, starts_at=9)
def _(patches: Patches) -> None:
    patches.set(ResumeGate, "shut", do_nothing)
