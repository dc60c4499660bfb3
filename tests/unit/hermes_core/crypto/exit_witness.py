"""Says at the very end of an interpreter whether buffers were zeroed."""

from __future__ import annotations

import os
from collections.abc import Callable


class Witness:
    """Prints `wiped` or `left` when it dies."""

    def __init__(self, *buffers: bytearray) -> None:
        self._buffers = buffers

    def __del__(self, write: Callable[[int, bytes], int] = os.write) -> None:
        write(1, b"left" if any(any(buffer) for buffer in self._buffers) else b"wiped")
