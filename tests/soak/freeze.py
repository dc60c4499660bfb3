"""SIGSTOP and SIGCONT of a process."""

from __future__ import annotations

import asyncio
import os
import random
import signal

from tests.soak.harm import Harm
from tests.soak.process import is_stopped

SHORTEST_S, TIMES = 0.2, 50


async def freeze(pid: int, draws: random.Random, harm: Harm) -> None:
    """For 0.2 to 10 s, short ones as likely as long ones."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(SHORTEST_S * TIMES ** draws.random())
        stopped = is_stopped(pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    harm.nothing = "" if stopped else "it was not stopped"
