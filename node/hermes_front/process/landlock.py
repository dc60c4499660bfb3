"""Landlock, by which a process takes rights from itself (Linux): all that its version knows, and none is given back.

https://docs.kernel.org/userspace-api/landlock.html; the numbers are linux/landlock.h's.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import Final

_CREATE_RULESET: Final = 444  # the same on every architecture that Python runs on
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_MISSING: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""Not built in, not enabled at boot, or forbidden by what runs the container."""

_FILES: Final = (1 << 13) - 1  # to execute, read, write, list, make and remove
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_IOCTL_DEVICE: Final = 1 << 15
_RESOLVE_UNIX: Final = 1 << 16
_BIND_TCP: Final = 1 << 0
_CONNECT_TCP: Final = 1 << 1
_SCOPE_ABSTRACT_UNIX: Final = 1 << 0
_SCOPE_SIGNALS: Final = 1 << 1


@dataclass(frozen=True, slots=True)
class Rights:
    """What a version of Landlock can take: rights to files, to TCP, and to reach processes outside (`scopes`)."""

    files: int
    tcp: int
    scopes: int


def rights_of(version: int) -> Rights:
    """A kernel refuses what it does not know; newer versions than these take no more than the newest here."""
    files = _FILES
    for first, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE), (9, _RESOLVE_UNIX)):
        files |= right if version >= first else 0
    return Rights(
        files=files,
        tcp=_BIND_TCP | _CONNECT_TCP if version >= 4 else 0,
        scopes=_SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNALS if version >= 6 else 0,
    )


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def read_version() -> int:
    """0 where there is none."""
    version = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 0 and ctypes.get_errno() not in _MISSING:
        raise _error("Landlock cannot be asked for its version")
    return max(0, version)


def take_rights(rights: Rights) -> None:
    """From the calling thread and all that it starts, without an exception to any: no rule is added. OSError when refused."""
    attributes = _RulesetAttributes(rights.files, rights.tcp, rights.scopes)
    # An older kernel takes the longer structure as long as what it does not know is zero.
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    if ruleset < 0:
        raise _error("Landlock takes no rules")
    try:
        if _call(_RESTRICT_SELF, ruleset, 0):
            raise _error("Landlock does not restrict this process")
    finally:
        os.close(ruleset)


def _call(number: int, *arguments: object) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))


def _error(problem: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{problem}: {os.strerror(number)}")
