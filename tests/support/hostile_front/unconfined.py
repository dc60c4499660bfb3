"""`python -m tests.support.hostile_front.unconfined`: the same without confinement, to see what its attacks are good for."""

import sys
from typing import Any

from hermes_front.process import main as main_module
from hermes_front.process.confine import Confinement
from tests.support.hostile_front import run


def _confine(**_options: Any) -> Confinement:
    return Confinement(0, no_files=False, no_tcp=False, no_signals=False, few_calls=False)


main_module.__dict__["confine"] = _confine
sys.exit(run())
