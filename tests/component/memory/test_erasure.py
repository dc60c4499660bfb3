"""Erasure, measured: the memory of a process whose chats ended holds none of their keys; with wiping off it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.memory import read_memory

ROOT = Path(__file__).parents[3]
CHILD = "tests.component.memory.chats_child"
PATHS = ("delete", "idle-expiry", "key-lifetime", "shutdown")
MIN_SECRETS = 20


class Child:
    """A running chats_child.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.secrets: set[bytes] = set()

    def read_until(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
            self.secrets.add(bytes.fromhex(line.strip()))
        pytest.fail(f"child ended before it said {word}")

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def find_secrets(self) -> set[bytes]:
        memory = read_memory(self.process.pid)
        return {secret for secret in self.secrets if secret in memory}


@contextmanager
def run_child(path: str, wiping: str) -> Iterator[Child]:
    command = [sys.executable, "-m", CHILD, path, wiping]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


@pytest.mark.parametrize("path", PATHS)
def test_no_key_of_an_ended_chat_is_left_in_memory(path: str) -> None:
    with run_child(path, "wipe") as child:
        child.read_until("READY")
        assert child.find_secrets(), "the scan finds the keys of a live chat"
        child.go_on()
        child.read_until("ENDED")
        assert len(child.secrets) >= MIN_SECRETS
        assert not child.find_secrets()


def test_an_offer_that_nobody_accepts_makes_no_secret() -> None:
    with run_child("reject", "wipe") as child:
        child.read_until("READY")
        child.go_on()
        child.read_until("ENDED")
        assert not any(child.secrets)


def test_without_wiping_the_scan_finds_them() -> None:
    with run_child("delete", "no-wipe") as child:
        child.read_until("READY")
        child.go_on()
        child.read_until("ENDED")
        assert child.find_secrets()
