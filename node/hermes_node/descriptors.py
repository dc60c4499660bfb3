"""How many files and connections this process may have open: as many as the system lets it, which is no default anywhere."""

from __future__ import annotations

import contextlib
import resource


def raise_descriptor_limit() -> None:
    """A connection is one, and many shells and services begin with 1,024: strangers alone have 640 places."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # where the kernel allows less than it says, what was stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
