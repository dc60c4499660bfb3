"""What must hold in every world, each invariant a class of its own that listens at one boundary."""

from __future__ import annotations

from tests.simulation.invariants.acknowledgements import AcknowledgedMeansTaken
from tests.simulation.invariants.base import Invariant
from tests.simulation.invariants.clocks import TimeGoesOn
from tests.simulation.invariants.codes import NoHonestPartyIsAccused
from tests.simulation.invariants.commits import DiskAheadOfWire
from tests.simulation.invariants.controls import ControlsCountAsSent
from tests.simulation.invariants.dates import NothingEndsEarly, UnknownAgesAreRenewed
from tests.simulation.invariants.ends import EndsSayWhy
from tests.simulation.invariants.floors import FloorsHold
from tests.simulation.invariants.kept import CommittedIsKept
from tests.simulation.invariants.keys import NoKeyForTwoPlaintexts
from tests.simulation.invariants.marks import MarksAreJudged
from tests.simulation.invariants.openings import ResumesWait
from tests.simulation.invariants.order import HopsKeepTheOrder
from tests.simulation.invariants.paths import PathsComeUp
from tests.simulation.invariants.proofs import BothSidesProved
from tests.simulation.invariants.remains import NothingRemains
from tests.simulation.invariants.reservations import PositionsAreReserved
from tests.simulation.invariants.stores import AppDiskAheadOfWire, NothingRemainsInStores, StoresTellTheTruth
from tests.simulation.invariants.streams import FramesStayOnTheirStream
from tests.simulation.invariants.third import CutPairsGoOn
from tests.simulation.invariants.timers import InputsBeforeTimers, TimersCome
from tests.simulation.invariants.wiping import StoppedMeansWiped

ALL: tuple[type[Invariant], ...] = (
    DiskAheadOfWire,
    CommittedIsKept,
    PositionsAreReserved,
    FramesStayOnTheirStream,
    NoKeyForTwoPlaintexts,
    HopsKeepTheOrder,
    InputsBeforeTimers,
    TimersCome,
    NoHonestPartyIsAccused,
    PathsComeUp,
    EndsSayWhy,
    StoppedMeansWiped,
    NothingRemains,
    AcknowledgedMeansTaken,
    ControlsCountAsSent,
    BothSidesProved,
    MarksAreJudged,
    FloorsHold,
    ResumesWait,
    TimeGoesOn,
    NothingEndsEarly,
    UnknownAgesAreRenewed,
    AppDiskAheadOfWire,
    StoresTellTheTruth,
    NothingRemainsInStores,
    CutPairsGoOn,
)
"""The ledger (tests/simulation/ledger.py) holds the last one: exactly once, in order."""
