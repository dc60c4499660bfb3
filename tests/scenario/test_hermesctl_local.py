"""hermesctl on this machine: the check passes, a conversation works between two terminals, an end leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from hermes_client.scenario.local_mesh import LocalMesh

DEADLINE_S = 90
HERMESCTL = [sys.executable, "-m", "hermes_ctl.cli"]

pytestmark = pytest.mark.timeout(DEADLINE_S)


@contextmanager
def _start(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A test that fails ends it, with its nodes; else the end of the block waits for its own."""
    command, environment = [*HERMESCTL, *arguments], {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line.strip()
    raise AssertionError(f"{text!r} was never said")


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def test_check_local_passes(tmp_path: Path) -> None:
    with _start(tmp_path, "check", "--local", "--messages", "100", "--junit", str(tmp_path / "r.xml")) as check:
        output = check.communicate(timeout=DEADLINE_S)[0]
    assert output.splitlines()[-1] == "PASS restart-resume: 9/9 steps, 100 messages, 0 lost, 0 duplicated, 0 reordered"
    assert check.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["r.xml"]


def test_two_terminals_have_a_conversation(tmp_path: Path) -> None:
    with _start(tmp_path, "chat", "--local") as first:
        invitation = shlex.split(_read_until(first, "--to"))
        assert invitation[0] == "hermesctl"
        with _start(tmp_path, *invitation[1:]) as second:
            _say(second, "hello")
            assert _read_until(first, "hello").endswith("> hello")
            _say(first, "hello yourself")
            assert _read_until(second, "yourself").endswith("> hello yourself")
            _say(second, "/rekey")
            _read_until(first, "new keys: epoch 2")
            _say(second, "/delete")
            _read_until(first, "the chat is over (DELETED_BY_PEER)")
            assert second.wait(DEADLINE_S) == 0
        assert first.wait(DEADLINE_S) == 0
    assert not list(tmp_path.iterdir())


def test_an_echo_says_how_it_is_called_and_answers_every_caller(tmp_path: Path) -> None:
    with _start(tmp_path, "chat", "--local", "--echo") as echo:
        invitation = shlex.split(_read_until(echo, "--to"))[1:]
        with _start(tmp_path, *invitation) as one, _start(tmp_path, *invitation) as two:
            for caller, word in ((one, "first"), (two, "second"), (one, "third")):
                _say(caller, word)
                assert _read_until(caller, word).endswith(f"> {word}")
            for caller in (one, two):
                _say(caller, "/delete")
                assert caller.wait(DEADLINE_S) == 0
        echo.send_signal(signal.SIGTERM)
        assert echo.wait(DEADLINE_S) == 130
    assert not list(tmp_path.iterdir())


def test_sigterm_ends_the_nodes_as_well(tmp_path: Path) -> None:
    with _start(tmp_path, "chat", "--local") as chat:
        _read_until(chat, "waiting for a call")
        (mesh,) = tmp_path.iterdir()
        pids = [int(line) for line in _pids_of(mesh)]
        assert len(pids) == 2
        chat.send_signal(signal.SIGTERM)
        assert chat.wait(DEADLINE_S) == 130
    assert not list(tmp_path.iterdir())
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_calling_nobody_is_one_line(tmp_path: Path) -> None:
    with _start(tmp_path, "chat", "--local") as first:
        invitation = shlex.split(_read_until(first, "--to"))[1:]
        invitation[-1] = "a" * 32
        done = subprocess.run([*HERMESCTL, *invitation], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 2
        assert done.stderr == (
            f"hermesctl: {'a' * 32} is not connected to this mesh; start it first, with the same --addresses\n"
        )
        first.send_signal(signal.SIGTERM)  # SIGINT is ignored where the tests run in the background
        assert first.wait(DEADLINE_S) == 130


def _pids_of(mesh: Path) -> list[str]:
    """Processes whose command line names this mesh's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if str(mesh).encode() in command:
            found.append(entry.name)
    return found


async def test_the_mesh_shows_who_does_not_see_whom() -> None:
    """Two nodes that answer and a third one that was stopped for good: no pair is broken, and one is missing."""
    async with LocalMesh(3) as mesh:
        urls = [f"http://{node.admin}" for node in mesh.nodes]

        def ask(*of: str) -> tuple[int, dict[str, Any]]:
            command = [*HERMESCTL, "mesh", *chain.from_iterable(("--admin", url) for url in of)]
            command += ["--token-file", str(mesh.folder / "admin-token"), "-o", "json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
            return done.returncode, json.loads(done.stdout)

        async def ask_until(sight: list[str], *of: str) -> tuple[int, dict[str, Any]]:
            """`sight`: what the first node says of all three; while they find each other pairs may be broken."""
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    code, said = await asyncio.to_thread(ask, *of)
                    seen = [said["seen"]["local-0"].get(f"local-{index}") for index in range(3)]
                    if seen == sight and said["broken"] == []:
                        return code, said

        code, said = await ask_until(["self", "linked", "linked"], *urls)
        assert code == 0
        await mesh.stop(2)
        code, said = await ask_until(["self", "linked", "left"], *urls)
        assert code == 1
        assert list(said["silent"]) == urls[2:]
        assert said["gone"] == ["local-2"]
