"""Every mutant there is."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutants.clients import CLIENTS
from tests.simulation.mutants.core import CORE
from tests.simulation.mutants.keystore import KEYSTORE
from tests.simulation.mutants.mutant import Mutant
from tests.simulation.mutants.openings import OPENINGS
from tests.simulation.mutants.sessions import SESSIONS
from tests.simulation.mutants.shells import SHELLS
from tests.simulation.mutants.stores import STORES

ALL: Final[tuple[Mutant, ...]] = (*SHELLS, *CLIENTS, *CORE, *SESSIONS, *KEYSTORE, *OPENINGS, *STORES)
