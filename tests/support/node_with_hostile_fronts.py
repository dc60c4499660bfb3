"""`python -m tests.support.node_with_hostile_fronts --config FILE`: a node whose fronts are somebody else's.

TEST_FRONT in its environment names the module that they run.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, cast
from unittest.mock import patch

from hermes_front.owner.server import FrontServer
from hermes_front.owner.spawning import spawn_front
from hermes_node.cli import main


def _spawn(
    run: int, listening: Sequence[socket.socket], memory_bytes: int, _module: str
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    return spawn_front(run, listening, memory_bytes, os.environ["TEST_FRONT"])


with patch.dict(cast("Any", FrontServer.__init__).__kwdefaults__, spawn=_spawn):
    sys.exit(main())
