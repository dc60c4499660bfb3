"""`python -m tests.support.hostile_front`: what an owner starts in place of a front."""

import sys

from tests.support.hostile_front import run

sys.exit(run())
