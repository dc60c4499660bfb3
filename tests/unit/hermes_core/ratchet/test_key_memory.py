"""Forward secrecy, measured: the memory of a live channel holds no key that was used; that of a wiped one holds none at all.

The keys come from the reference, the memory from another process. Keys that must still be there, and a run with wiping
switched off, show that the search finds what is there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hermes_core.ids import ChannelKind
from hermes_core.ratchet.params import DEFAULT_SUITES
from tests.reference import protocol_reference as ref
from tests.support.memory import read_memory
from tests.unit.hermes_core.ratchet import memory_child

CHILD = Path(memory_child.__file__)
H = "sha256"
SAMPLED = {*range(4), 17, 38, 100, *range(254, 258), 290}  # searching for every key would take a minute
Keys = dict[str, bytes]


def derive_input(name: str) -> bytes:
    return ref.digest(H, name.encode())


def derive_epochs(ciphertexts: list[bytes]) -> list[Keys]:
    """Everything secret of both epochs of the child, by name."""
    publics = [ref.public_key(derive_input(f"identity {side}")) for side in (0, 1)]
    parties = [ref.app_party(key) for key in publics]
    transcript, ratchet, epochs = b"", None, []
    counts = (memory_child.FIRST_EPOCH_MESSAGES, memory_child.SECOND_EPOCH_MESSAGES)
    for number, (count, ciphertext) in enumerate(zip(counts, ciphertexts, strict=True), start=1):
        privates = [derive_input(f"ephemeral {side} {number}") for side in (0, 1)]
        seed = ref.digest("sha512", f"ephemeral 0 {number}".encode())  # epoch 2 goes not below what epoch 1 used
        listed = bytes(DEFAULT_SUITES[ChannelKind.END_TO_END][: 6 - 2 * number])
        offer_head = ref.head(ref.lp(listed), 1, bytes(16), number, *parties)
        answer_head = ref.head(ref.u8(listed[0]), 1, bytes(16), number, *parties)
        offer = ref.offer(offer_head, number, ref.ephemeral_public(privates[0]), ref.encapsulation_key(seed), transcript)
        answer = ref.answer(H, answer_head, ref.ephemeral_public(privates[1]), ciphertext, offer)
        transcript = ref.transcript_hash(H, offer, answer)
        shared = ref.shared_secret(privates[0], ref.ephemeral_public(privates[1]))
        encapsulated = ref.decapsulate(seed, ciphertext)
        keys = ref.epoch_keys(H, shared + encapsulated, transcript, ratchet)
        ratchet = keys["ratchet"]
        found: Keys = {"shared": shared, "prk": keys["prk"], "private 0": privates[0], "private 1": privates[1]}
        found |= {"mac": keys["mac"], "ratchet": ratchet}
        found |= {"encapsulated": encapsulated, "kem d": seed[:32], "kem z": seed[32:]}
        for purpose in ("i2r", "r2i"):
            chain_key = keys[purpose]
            for position in range(count):
                following, message_key = ref.step(H, chain_key)
                if position in SAMPLED or position >= count - 3:
                    found[f"{purpose} chain {position}"] = chain_key
                    found[f"{purpose} message {position}"] = message_key
                chain_key = following
            found[f"{purpose} next chain"] = chain_key
        epochs.append(found)
    return epochs


@contextmanager
def run_child(wiping: str, pace: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(CHILD), wiping, pace]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def read_epochs(child: subprocess.Popen[str]) -> list[Keys]:
    assert child.stdout is not None
    return derive_epochs([bytes.fromhex(child.stdout.readline()) for _ in range(2)])


def wait_for(child: subprocess.Popen[str], word: str) -> bytes:
    assert child.stdout is not None
    assert child.stdout.readline().strip() == word
    return read_memory(child.pid)


def find(keys: Keys, memory: bytes) -> set[str]:
    return {name for name, key in keys.items() if key in memory}


LIVE = {"mac", "ratchet", "i2r next chain", "r2i next chain"}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc/<pid>/mem")
@pytest.mark.parametrize("pace", ["busy", "slow"])
def test_used_keys_are_nowhere_in_memory(pace: str) -> None:
    with run_child("on", pace) as child:
        first, second = read_epochs(child)
        memory = wait_for(child, "live")
        assert find(first, memory) == set()
        assert find(second, memory) == LIVE
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        memory = wait_for(child, "wiped")
        assert find(first, memory) == find(second, memory) == set()


def test_without_wiping_they_are_found() -> None:
    with run_child("off", "busy") as child:
        first, _ = read_epochs(child)
        assert len(find(first, wait_for(child, "live"))) >= 10
