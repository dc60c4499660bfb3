"""A node's memory stays its own: no core dump, and no other process of its user may attach to it or read it (Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from hermes_node.errors import NodeError

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """For this process, from now on; root may look all the same. NodeError when the kernel refuses."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    # A dump piped to a program (kernel.core_pattern) ignores the limit; one of a process that is not dumpable is never made.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise NodeError(f"this process cannot be kept from being dumped: {os.strerror(ctypes.get_errno())}")
