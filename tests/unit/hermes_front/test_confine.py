"""What a confined process may not do, shown by trying; each attempt is made without confinement as well, where it succeeds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_front.process.landlock import read_version, rights_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such confinement")

MIB = 1024 * 1024
DATA_BYTES = 256 * MIB
NOBODY = 65534

CHILD = """
import ctypes, json, os, resource, signal, socket, sys
from hermes_front.process.confine import confine, load_what_is_lazy

user, data_bytes, attempt, *values = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS = 16, 3, 39

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
    "gain privileges": lambda: checked(-libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
}
load_what_is_lazy()
if user != "0":
    os.setuid(int(user))
if data_bytes != "free":
    confine(owner_pid=os.getppid(), data_bytes=int(data_bytes))
try:
    ATTEMPTS[attempt](*values)
except (OSError, MemoryError) as error:
    print(json.dumps(type(error).__name__))
else:
    print(json.dumps("done"))
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False)


def _try(how: str, attempt: str, *values: str, user: int = 0) -> str:
    done = _run(CHILD, str(user), str(DATA_BYTES) if how == "confined" else how, attempt, *values)
    assert not done.returncode, done.stderr
    return str(json.loads(done.stdout))


needs_landlock = pytest.mark.skipif(sys.platform != "linux" or not read_version(), reason="this kernel has no Landlock")
needs_scopes = pytest.mark.skipif(sys.platform != "linux" or read_version() < 6, reason="this kernel's Landlock has no scopes")


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
    assert _try("confined", attempt, target) == "PermissionError"
    assert _try("free", attempt, target) == "done"


@needs_landlock
def test_no_secret_of_another_process(victim: int) -> None:
    assert _try("confined", "read a process' environment", str(victim)) == "PermissionError"
    assert _try("free", "read a process' environment", str(victim)) == "done"


@needs_landlock
def test_no_other_process_is_attached_to(victim: int) -> None:
    assert _try("confined", "attach to a process", str(victim)) == "PermissionError"
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if not os.getuid() or not yama.exists() or yama.read_text() == "0\n":
        assert _try("free", "attach to a process", str(victim)) == "done"


@pytest.mark.skipif(sys.platform != "linux" or read_version() < 4, reason="this kernel's Landlock knows nothing of TCP")
def test_no_tcp_but_what_was_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert _try("confined", "dial TCP", port) == "PermissionError"
        assert _try("free", "dial TCP", port) == "done"
    assert _try("confined", "bind TCP") == "PermissionError"
    assert _try("free", "bind TCP") == "done"


@needs_scopes
def test_no_signals_and_no_abstract_sockets(victim: int) -> None:
    assert _try("confined", "signal a process", str(victim)) == "PermissionError"
    assert _try("free", "signal a process", str(victim)) == "done"
    name = f"hermes-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        assert _try("confined", "dial an abstract socket", name) == "PermissionError"
        assert _try("free", "dial an abstract socket", name) == "done"


def test_memory_has_an_end() -> None:
    assert _try("confined", "take memory", str(2 * DATA_BYTES)) == "MemoryError"
    assert _try("free", "take memory", str(2 * DATA_BYTES)) == "done"
    assert _try("confined", "take memory", str(DATA_BYTES // 2)) == "done"


@pytest.mark.parametrize("attempt", ["be dumped", "write a core file", "gain privileges"])
def test_what_a_process_may_ask_of_itself(attempt: str) -> None:
    assert _try("confined", attempt) == "OSError"
    assert _try("free", attempt) == "done" or attempt == "write a core file"  # which many systems forbid everybody


def test_no_children() -> None:
    """Where it is not the superuser: that limit binds no superuser."""
    user = 0 if os.getuid() else NOBODY
    assert _try("confined", "fork", user=user) == "BlockingIOError"
    assert _try("free", "fork", user=user) == "done"


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
done = confine(owner_pid=os.getppid(), data_bytes=1 << 30)
before = set(sys.modules)
"b\u00fccher.example".encode("idna")
ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
try:
    open("/etc/hostname")
except OSError:
    traceback.format_exc()
async def main():
    a, b = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=a)
    writer.write(b"x")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.get_running_loop().sock_recv(b, 1))
    writer.close()
    b.close()
asyncio.run(main())
print(done.confined, sorted(set(sys.modules) - before))
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
