"""What a confined process may not do, shown by trying; each attempt is made without confinement as well, where it succeeds."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_front.process.confine import FILE_BYTES
from hermes_front.process.landlock import read_version, rights_of
from hermes_front.process.system_calls import CALLS, build_filter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such confinement")

MIB = 1024 * 1024
DATA_BYTES = 256 * MIB
NOBODY = 65534

CHILD = """
import ctypes, fcntl, json, mmap, os, resource, signal, socket, sys, threading
from hermes_front.process import confine as confinement

how, user, data_bytes, attempt, *values = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_NO_NEW_PRIVS = 16, 3, 4, 39

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result

def dial(family, address):
    with socket.socket(family) as sock:
        sock.connect(address)

def bind():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))

def fork():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)

ATTEMPTS = {
    "read a file": lambda path: open(path).read(),
    "read a process' environment": lambda pid: open(f"/proc/{pid}/environ", "rb").read(),
    "list a folder": os.listdir,
    "make a file": lambda path: open(path + ".new", "x").close(),
    "remove a file": lambda path: os.unlink(path + ".new"),
    "execute a program": lambda path: os.posix_spawn(path, [path], {}),
    "dial TCP": lambda port: dial(socket.AF_INET, ("127.0.0.1", int(port))),
    "bind TCP": bind,
    "dial an abstract socket": lambda name: dial(socket.AF_UNIX, chr(0) + name),
    "signal a process": lambda pid: os.kill(int(pid), signal.SIGCONT),
    "attach to a process": lambda pid: checked(libc.ptrace(PTRACE_ATTACH, int(pid), None, None)),
    "fork": fork,
    "take memory": lambda size: len(bytearray(int(size))),
    "be dumped": lambda: checked(libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) - 1),
    "write a core file": lambda: checked(resource.getrlimit(resource.RLIMIT_CORE)[1] or -1),
    "change a file's mode": lambda path: os.chmod(path, 0o777),
    "look at a file": os.stat,
    "limit a process": lambda pid: resource.prlimit(int(pid), resource.RLIMIT_NOFILE, (3, 3)),
    "slow a process": lambda pid: os.setpriority(os.PRIO_PROCESS, int(pid), 19),
    "send UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
    "dial a socket with a path": lambda path: dial(socket.AF_UNIX, path),
    "take memory as a file": lambda: os.memfd_create("x"),
    "take shared memory": lambda: mmap.mmap(-1, 4096),
    "take memory in pipes": os.pipe,
    "take memory in its file": lambda size: os.ftruncate(file, int(size)),
    "start a thread": lambda: threading.Thread(target=lambda: None).start(),
    "be dumped again": lambda: checked(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)),
    "set an option of all": lambda: listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1),
    "let all wait": lambda: listening.setblocking(True),
    "let all wait by fcntl": lambda: fcntl.fcntl(listening, fcntl.F_SETFL, 0),
    "copy the socket of all": lambda: os.dup(listening.fileno()),
    "copy it by fcntl": lambda: fcntl.fcntl(listening, fcntl.F_DUPFD, 0),
    "end the socket of all": lambda: listening.shutdown(socket.SHUT_RD),
    "shorten the queue of all": lambda: listening.listen(0),
    "map privately": lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
    "read its own limit": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    "end itself": lambda: signal.raise_signal(signal.SIGCONT),
    "gain privileges": lambda: checked(-libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
}
confinement.load_what_is_lazy()
listening = socket.create_server(("127.0.0.1", 0))
file = os.memfd_create("keys")
if user != "0":
    os.setuid(int(user))
if how == "by Landlock":
    confinement.refuse_other_calls = lambda _: False
elif how == "by calls":
    confinement.read_version = lambda: 0
if how != "free":
    confinement.confine(owner_pid=os.getppid(), data_bytes=int(data_bytes), listening=[listening.fileno()])
try:
    ATTEMPTS[attempt](*values)
except (OSError, MemoryError, RuntimeError) as error:
    print(json.dumps(type(error).__name__))
else:
    print(json.dumps("done"))
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False)


def _try(how: str, attempt: str, *values: str, user: int = 0) -> str:
    done = _run(CHILD, how, str(user), str(DATA_BYTES), attempt, *values)
    assert not done.returncode, done.stderr
    return str(json.loads(done.stdout))


needs_landlock = pytest.mark.skipif(sys.platform != "linux" or not read_version(), reason="this kernel has no Landlock")
needs_scopes = pytest.mark.skipif(sys.platform != "linux" or read_version() < 6, reason="this kernel's Landlock has no scopes")


needs_calls = pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="no numbers for this machine")


@pytest.fixture
def victim() -> Iterator[int]:
    """Another process of this user."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


@needs_landlock
@pytest.mark.parametrize("attempt", ["read a file", "list a folder", "make a file", "remove a file", "execute a program"])
def test_no_files(tmp_path: Path, attempt: str) -> None:
    values = {"list a folder": str(tmp_path), "execute a program": "/bin/true"}
    path = tmp_path / "key"
    path.write_text("secret")
    if attempt == "remove a file":
        (tmp_path / "key.new").touch()
    target = values.get(attempt, str(path))
    # Who is no superuser may not even have the process in which a program would be executed.
    refused = {"PermissionError", "BlockingIOError"} if attempt == "execute a program" else {"PermissionError"}
    assert _try("by Landlock", attempt, target) in refused
    assert _try("confined", attempt, target) == "PermissionError"
    assert _try("free", attempt, target) == "done"


@needs_landlock
def test_no_secret_of_another_process(victim: int) -> None:
    assert _try("by Landlock", "read a process' environment", str(victim)) == "PermissionError"
    assert _try("confined", "read a process' environment", str(victim)) == "PermissionError"
    assert _try("free", "read a process' environment", str(victim)) == "done"


@needs_landlock
def test_no_other_process_is_attached_to(victim: int) -> None:
    assert _try("by Landlock", "attach to a process", str(victim)) == "PermissionError"
    assert _try("confined", "attach to a process", str(victim)) == "PermissionError"
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if not os.getuid() or not yama.exists() or yama.read_text() == "0\n":
        assert _try("free", "attach to a process", str(victim)) == "done"


@pytest.mark.skipif(sys.platform != "linux" or read_version() < 4, reason="this kernel's Landlock knows nothing of TCP")
def test_no_tcp_but_what_was_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert _try("by Landlock", "dial TCP", port) == "PermissionError"
        assert _try("confined", "dial TCP", port) == "PermissionError"
        assert _try("free", "dial TCP", port) == "done"
    assert _try("by Landlock", "bind TCP") == "PermissionError"
    assert _try("confined", "bind TCP") == "PermissionError"
    assert _try("free", "bind TCP") == "done"


@needs_scopes
def test_no_signals_and_no_abstract_sockets(victim: int) -> None:
    assert _try("by Landlock", "signal a process", str(victim)) == "PermissionError"
    assert _try("confined", "signal a process", str(victim)) == "PermissionError"
    assert _try("free", "signal a process", str(victim)) == "done"
    name = f"hermes-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        assert _try("by Landlock", "dial an abstract socket", name) == "PermissionError"
        assert _try("confined", "dial an abstract socket", name) == "PermissionError"
        assert _try("free", "dial an abstract socket", name) == "done"


def test_memory_has_an_end() -> None:
    assert _try("confined", "take memory", str(2 * DATA_BYTES)) == "MemoryError"
    assert _try("free", "take memory", str(2 * DATA_BYTES)) == "done"
    assert _try("confined", "take memory", str(DATA_BYTES // 2)) == "done"


def test_its_file_is_small() -> None:
    assert _try("confined", "take memory in its file", str(FILE_BYTES)) == "done"
    assert _try("confined", "take memory in its file", str(FILE_BYTES + 1)) == "OSError"
    assert _try("free", "take memory in its file", str(FILE_BYTES + 1)) == "done"


@pytest.mark.parametrize("attempt", ["be dumped", "write a core file", "gain privileges"])
def test_what_a_process_may_ask_of_itself(attempt: str) -> None:
    assert _try("by Landlock", attempt) == "OSError"
    assert _try("free", attempt) == "done" or attempt == "write a core file"  # which many systems forbid everybody


def test_no_children() -> None:
    """Where it is not the superuser: that limit binds no superuser."""
    user = 0 if os.getuid() else NOBODY
    assert _try("by Landlock", "fork", user=user) == "BlockingIOError"
    assert _try("confined", "fork", user=user) == "PermissionError"
    assert _try("free", "fork", user=user) == "done"


@needs_calls
@pytest.mark.parametrize(
    "attempt",
    [
        "send UDP",
        "take memory as a file",
        "take shared memory",
        "take memory in pipes",
        "start a thread",
        "fork",
        "be dumped again",
        "set an option of all",
        "let all wait",
        "let all wait by fcntl",
        "copy the socket of all",
        "copy it by fcntl",
        "end the socket of all",
        "shorten the queue of all",
    ],
)
def test_what_landlock_leaves(attempt: str) -> None:
    assert _try("by calls", attempt) in {"PermissionError", "RuntimeError"}
    assert _try("free", attempt) == "done"


@needs_calls
def test_what_landlock_leaves_of_files_and_processes(tmp_path: Path, victim: int) -> None:
    """The last of them is a denial of service to its owner: a process may set the limits of any other of its user."""
    path = tmp_path / "key"
    path.touch(0o600)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        for attempt, value in (
            ("change a file's mode", str(path)),
            ("look at a file", str(path)),
            ("dial a socket with a path", str(tmp_path / "socket")),
            ("slow a process", str(victim)),
            ("limit a process", str(victim)),
        ):
            assert _try("by calls", attempt, value) == "PermissionError", attempt
            assert _try("free", attempt, value) == "done", attempt


@pytest.mark.parametrize("attempt", ["map privately", "read its own limit", "end itself"])
def test_what_it_needs_stays(attempt: str) -> None:
    assert _try("confined", attempt) == "done"


@pytest.mark.parametrize(
    ("column", "header"), [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")]
)
def test_calls_have_the_numbers_of_the_system(column: int, header: str) -> None:
    if not Path(header).exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", Path(header).read_text())
    numbers = {name: int(number) for name, number in reversed(found)}
    assert {name: numbers.get(name) for name in CALLS} == {name: both[column] for name, both in CALLS.items()}


def test_the_filter_of_every_machine_is_short_enough() -> None:
    """BPF_MAXINSNS."""
    for machine in ("x86_64", "aarch64"):
        assert len(build_filter(machine, range(3, 19), 1)) < 4096


def test_its_owner_is_gone_already() -> None:
    code = "from hermes_front.process.confine import confine; confine(owner_pid=1 << 30, data_bytes=1 << 30)"
    done = _run(code)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("OwnerGoneError")


def test_it_ends_with_its_owner() -> None:
    """Killed, so that nothing of the owner runs any more that could end it."""
    owner = """
import os, subprocess, sys, time
code = f'''
import time
from hermes_front.process.confine import confine
confine(owner_pid={os.getpid()}, data_bytes=1 << 30)
print("confined", flush=True)
time.sleep(60)
'''
front = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
print(front.pid, front.stdout.readline().decode(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid, said = process.stdout.readline().split()
        assert said == "confined"
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _lives(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@needs_landlock
def test_with_another_thread_it_is_refused() -> None:
    """Landlock would hold the one that asked for it, and no other."""
    code = """
import os, threading
from hermes_front.process.confine import ConfinementError, confine
threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    confine(owner_pid=os.getppid(), data_bytes=1 << 30)
except ConfinementError as error:
    print(error)
"""
    assert _run(code).stdout == "this process has 2 threads, and only one of them would be confined\n"


@needs_landlock
def test_what_is_imported_late_is_there() -> None:
    code = """
import asyncio, os, socket, ssl, sys, traceback
from hermes_front.process.confine import confine
import hermes_h2.serving.server
async def main():
    a, b = socket.socketpair()
    done = confine(owner_pid=os.getppid(), data_bytes=1 << 30)
    before = set(sys.modules)
    "b\u00fccher.example".encode("idna")
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        open("/etc/hostname")
    except OSError:
        traceback.format_exc()
    reader, writer = await asyncio.open_connection(sock=a)
    writer.write(b"x")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.get_running_loop().sock_recv(b, 1))
    writer.close()
    b.close()
    print(done.confined, sorted(set(sys.modules) - before))
asyncio.run(main())
"""
    done = _run(code)
    assert done.stdout == "True []\n", done.stderr


def test_each_version_takes_what_it_knows() -> None:
    """As the kernel's page tells it: 2 linking, 3 truncating, 4 TCP, 5 devices, 6 scopes, 9 sockets that have a path."""
    counts = [(r.files.bit_count(), r.tcp.bit_count(), r.scopes.bit_count()) for r in map(rights_of, range(1, 11))]
    assert counts == [
        (13, 0, 0),
        (14, 0, 0),
        (15, 0, 0),
        (15, 2, 0),
        (16, 2, 0),
        (16, 2, 2),
        (16, 2, 2),
        (16, 2, 2),
        (17, 2, 2),
        (17, 2, 2),
    ]
