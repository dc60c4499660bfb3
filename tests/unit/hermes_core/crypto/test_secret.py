"""SecretBytes: its own buffer, constant-time comparison, wiped for sure, never text."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

from hermes_core.crypto import secret as secret_module
from hermes_core.crypto.secret import SecretBytes, wipe_buffer, wipe_bytes, wipe_range
from hermes_core.crypto.sodium import pointer
from tests.support.memory import read_memory


def make(data: bytes = b"0123456789abcdef") -> SecretBytes:
    return SecretBytes.take(bytearray(data))


def test_take_wipes_its_source() -> None:
    source = bytearray(b"key material")
    secret = SecretBytes.take(source)
    assert source == bytes(12)
    assert secret.buffer == b"key material"
    assert len(secret) == 12


def test_a_copy_has_a_buffer_of_its_own() -> None:
    secret = make()
    twin = secret.copy()
    assert secret.equals(twin)
    twin.wipe()
    assert secret.buffer == b"0123456789abcdef"


COPIES = """
import mmap, os, sys
from hermes_core.crypto.secret import SecretBytes

source = mmap.mmap(-1, 1 << 14)  # where no allocator can move it
assert os.readv(0, [memoryview(source)]) == 1 << 14
view = memoryview(source)
made = [COPY for _ in range(3)]
sys.stdout.write("made\\n")
sys.stdout.flush()
os.read(0, 1)
"""
"""A child that makes three copies of what it reads."""


def count_in_child(copy: str) -> int:
    data = os.urandom(1 << 14)
    command = [sys.executable, "-c", COPIES.replace("COPY", copy)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(data)
        child.stdin.flush()
        assert child.stdout.readline() == b"made\n"
        middle = data[1 << 10 : 1 << 11]  # of one page, whose neighbours may lie elsewhere
        return read_memory(child.pid).count(middle)


def test_a_copy_of_a_view_leaves_no_third_one_behind() -> None:
    assert count_in_child("SecretBytes.copy_of(view)") == 4  # and the source


def test_a_join_leaves_neither_half_behind() -> None:
    assert count_in_child("SecretBytes.join(SecretBytes(1), SecretBytes.take(bytearray(view)))") == 4


def test_the_count_finds_what_was_let_go() -> None:
    assert count_in_child("bytearray(bytes(view))") > 4


def test_copy_of_leaves_its_source_alone() -> None:
    source = bytearray(b"key material")
    assert SecretBytes.copy_of(source).equals(SecretBytes.copy_of(memoryview(source)))
    assert source == b"key material"


def test_equals() -> None:
    assert make().equals(make())
    assert not make().equals(make(b"0123456789abcdeF"))
    assert not make().equals(make(b"short"))


def test_wipe_zeroes_and_refuses_further_use() -> None:
    secret = make()
    buffer = secret.buffer
    secret.wipe()
    secret.wipe()
    assert buffer == bytes(16)
    assert secret.wiped
    with pytest.raises(ValueError, match="wiped"):
        _ = secret.buffer


AT_EXIT = """
import sys
from hermes_core.crypto import secret as secret_module
from hermes_core.crypto.hashing import HashId
from hermes_core.ratchet import chain as chain_module
from tests.unit.hermes_core.crypto.exit_witness import Witness

# The last things that go are the names of sys, private ones first; modules that are referred to are cleared before.
secret = secret_module.SecretBytes.take(bytearray(b"k" * 32))
chain = chain_module.Chain(HashId.SHA256, secret)
chain.message_key(3)
sys.modules_in_use = [secret_module, chain_module]
sys._secret, sys._chain = secret, chain
sys.witness = Witness(secret.buffer, chain._key, chain._reserved_key, chain._rows)
"""


def test_what_lives_until_the_interpreter_ends_is_wiped_without_a_word() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("wiped", "")


def test_the_last_reference_wipes() -> None:
    secret = make()
    buffer = secret.buffer
    del secret
    assert buffer == bytes(16)


@pytest.mark.parametrize(
    "use",
    [
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:>20}",
        "{}".format,
        lambda secret: "%s" % secret,  # noqa: UP031
        hash,
        lambda secret: secret == secret,  # noqa: PLR0124
        lambda secret: secret != make(),
        lambda secret: {secret: 1},
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        bytes,
    ],
)
def test_no_way_to_text_keys_or_pickles(use: Callable[[SecretBytes], object]) -> None:
    with pytest.raises(TypeError):
        use(make())


def test_repr_shows_nothing() -> None:
    secret = make()
    assert repr(secret) == f"{secret!r}" == "SecretBytes(***)"  # type: ignore[secret]
    secret.wipe()
    assert repr(secret) == "SecretBytes(wiped)"


def test_a_log_call_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("key %r", make())  # type: ignore[secret]
    assert caplog.messages == ["key SecretBytes(***)"]


def test_wipe_functions() -> None:
    buffer = bytearray(b"abcdefgh")
    wipe_range(pointer(buffer) + 2, 3)
    assert buffer == b"ab\0\0\0fgh"
    wipe_buffer(memoryview(buffer)[6:])
    assert buffer == b"ab\0\0\0f\0\0"
    wipe_buffer(bytearray())
    fresh = b"".join([b"secret ", b"digest"])
    wipe_bytes(fresh)
    assert fresh == bytes(13)


def test_shared_bytes_objects_are_left_alone() -> None:
    wipe_bytes(b"x")
    assert b"x"[0] == 0x78


def test_the_control_switch_turns_wiping_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_module, "_wiping_enabled", False)
    buffer = bytearray(b"stays")
    wipe_buffer(buffer)
    wipe_range(pointer(buffer), 5)
    assert buffer == b"stays"
