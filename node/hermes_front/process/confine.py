"""Takes from this process whatever a front does not need: files, dialling, other processes, memory without end (Linux).

Before anybody is served, once, and for good. The kernel's own pages: https://docs.kernel.org/userspace-api/no_new_privs.html,
https://docs.kernel.org/userspace-api/landlock.html, https://docs.kernel.org/userspace-api/seccomp_filter.html, prctl(2) and
getrlimit(2).
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hermes_front.process.landlock import read_version, rights_of, take_rights
from hermes_front.process.system_calls import refuse_other_calls

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h, as the others
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38

FILE_BYTES: Final = 4 * 1024 * 1024
"""Of the one file that it may write: memory, from which OpenSSL reads the longest certificates and key that a node takes."""
LAZY: Final = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_8",
    "asyncio.base_subprocess",
    "asyncio.sslproto",
    "asyncio.staggered",
    "linecache",
    "ssl",
    "stringprep",
    "traceback",
    "unicodedata",
)
"""What the standard library imports at its first use; afterwards there is no file to import it from."""


class ConfinementError(Exception):
    """This process cannot be confined as it is."""


class OwnerGoneError(Exception):
    """The owner ended before this process could be made to end with it."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What this process has lost. Landlock's version is 0, and what it gives False, where the kernel has none."""

    landlock: int
    no_files: bool
    no_tcp: bool
    no_signals: bool
    few_calls: bool
    """Of the system's: only those that a front needs."""

    @property
    def confined(self) -> bool:
        """Whether all may be said of it that docs/concepts/security.md says of a confined front."""
        return self.no_files and self.few_calls


def load_what_is_lazy() -> None:
    for name in LAZY:
        importlib.import_module(name)


def confine(*, owner_pid: int, data_bytes: int, listening: Sequence[int] = ()) -> Confinement:
    """`owner_pid`: who started this process. `data_bytes`: of its private memory (RLIMIT_DATA).

    `listening`: descriptors of sockets that other processes listen on as well. All that this process needs is open before:
    afterwards it opens a file only where that is memory of its own, and makes no socket, pipe, thread or process.
    OwnerGoneError, ConfinementError; OSError where the kernel has a thing and refuses it.
    """
    load_what_is_lazy()
    _limit(data_bytes)
    if sys.platform != "linux":
        return Confinement(0, no_files=False, no_tcp=False, no_signals=False, few_calls=False)
    _end_with(owner_pid)
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    _control(_PR_SET_DUMPABLE, 0)
    _check_threads()
    version = read_version()
    if version:
        take_rights(rights_of(version))
    rights = rights_of(version)
    return Confinement(
        version,
        no_files=bool(version),
        no_tcp=bool(version and rights.tcp),
        no_signals=bool(version and rights.scopes),
        few_calls=refuse_other_calls(listening),
    )


def _limit(data_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Counts what the user has, against the limit of who forks: this one forks no more. It binds no superuser.
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _end_with(owner_pid: int) -> None:
    """With the owner's thread that started this process, says prctl(2): it has to be one that lives as long as the owner."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner_pid:  # it ended before: whoever adopted this process sends no signal
        raise OwnerGoneError


def _check_threads() -> None:
    """Landlock and seccomp restrict the calling thread and those that it starts."""
    try:
        count = sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        count = threading.active_count()
    if count != 1:
        raise ConfinementError(f"this process has {count} threads, and only one of them would be confined")


def _control(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, *(ctypes.c_ulong(argument) for argument in (value, 0, 0, 0))):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
