"""The system calls that a front needs, and no other (Linux, seccomp): every other one fails with EPERM.

Landlock leaves what this takes: chmod(2) and stat(2) of any file, limits and priorities of other processes of the user, UDP,
sockets that have a path, memory that counts for no process, and options of the sockets that all fronts listen on.
https://docs.kernel.org/userspace-api/seccomp_filter.html; the numbers are those of linux/seccomp.h, linux/bpf_common.h and
asm/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL_PROCESS: Final = 0x80000000
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NUMBER_AT: Final = 0  # in struct seccomp_data
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16

_ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the table, and AUDIT_ARCH_."""

_FCNTL_COMMANDS: Final = (1, 2, 3, 4)  # F_GETFD, F_SETFD, F_GETFL, F_SETFL: no copies, no owner of a signal
_IOCTL_COMMANDS: Final = (0x5421, 0x541B)  # FIONBIO, FIONREAD
_MAP_SHARED: Final = 1

CALLS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    # streams
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "accept": (43, 202),
    "accept4": (288, 242),
    "shutdown": (48, 210),
    "close": (3, 57),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "getsockopt": (55, 209),
    "setsockopt": (54, 208),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "epoll_ctl": (233, 21),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # the one file that holds TLS keys for OpenSSL to read, which is memory
    "openat": (257, 56),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "ftruncate": (77, 46),
    # memory
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    # threads, which Python asks for without having any, and signals to oneself
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "tgkill": (234, 131),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    # time, randomness, who one is
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "prlimit64": (302, 261),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""Numbers for x86_64 and aarch64; None where there is none."""

_Instruction = tuple[int, int, int, int]
"""struct sock_filter: code, how many to skip if true and if false, and a number."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_other_calls(listening: Sequence[int]) -> bool:
    """For good. False where this is not known to work. `listening`: descriptors that others share: nothing is set there."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    instructions = build_filter(machine, listening, os.getpid())
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    program = _Program(len(instructions), code)
    zero = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(
        _PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program), zero, zero
    ):
        number = ctypes.get_errno()
        if number == errno.EINVAL:  # this kernel has none
            return False
        raise OSError(number, f"system calls cannot be refused: {os.strerror(number)}")
    return True


def build_filter(machine: str, listening: Sequence[int], pid: int) -> list[_Instruction]:
    column, architecture = _ARCHITECTURES[machine]
    checks = {
        "setsockopt": [_none_of(0, listening)],
        "shutdown": [_none_of(0, listening)],
        "ioctl": [_none_of(0, listening), _one_of(1, _IOCTL_COMMANDS)],
        "fcntl": [_none_of(0, listening), _one_of(1, _FCNTL_COMMANDS)],
        "mmap": [_without(3, _MAP_SHARED)],
        "tgkill": [_one_of(0, [pid])],
        "prlimit64": [_one_of(0, [0])],
    }
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        *(
            instruction
            for name, numbers in CALLS.items()
            if (number := numbers[column]) is not None
            for instruction in _allow(number, checks.get(name, []))
        ),
        (_RETURN, 0, 0, _REFUSE),
    ]


def _allow(number: int, checks: Sequence[Sequence[_Instruction]]) -> Iterator[_Instruction]:
    """A check goes on behind itself, or refuses."""
    body = [instruction for check in checks for instruction in check]
    yield (_IF_EQUAL, 0, len(body) + 1, number)
    yield from body
    yield (_RETURN, 0, 0, _ALLOW)


def _one_of(argument: int, values: Sequence[int]) -> list[_Instruction]:
    count = len(values)
    tests = [(_IF_EQUAL, count - at, 0, value) for at, value in enumerate(values)]
    return [_load(argument), *tests, (_RETURN, 0, 0, _REFUSE)]


def _none_of(argument: int, values: Sequence[int]) -> list[_Instruction]:
    if not values:
        return []
    last = len(values) - 1
    tests = [(_IF_EQUAL, last - at, 1 if at == last else 0, value) for at, value in enumerate(values)]
    return [_load(argument), *tests, (_RETURN, 0, 0, _REFUSE)]


def _without(argument: int, bits: int) -> list[_Instruction]:
    return [_load(argument), (_IF_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _REFUSE)]


def _load(argument: int) -> _Instruction:
    """The lower half, which is all that the kernel reads of descriptors, commands and process ids."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)
