"""A chain hands out each key once, wipes what is used, and gives the same keys whichever way it derives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from hermes_core.crypto.hashing import HashId
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi
from hermes_core.ratchet.chain import MAX_ROWS, ROWS_IDLE_S, Chain
from tests.reference import protocol_reference as ref

CHAIN_KEY = bytes(range(32))


def make_chain() -> Chain:
    return Chain(HashId.SHA256, SecretBytes.take(bytearray(CHAIN_KEY)))


def read(key: Any) -> bytes:
    return bytes(ffi.buffer(key, 32))


def keeps_rows(chain: Chain) -> bool:
    return chain.rows_drop_at_s is not None


def reference_keys(count: int) -> tuple[list[bytes], list[bytes]]:
    """(chain keys, message keys) of the positions below `count`."""
    chain_keys, message_keys, key = [], [], CHAIN_KEY
    for _ in range(count):
        chain_keys.append(key)
        key, message_key = ref.step("sha256", key)
        message_keys.append(message_key)
    return chain_keys, message_keys


CHAIN_KEYS, MESSAGE_KEYS = reference_keys(3200)
USES = st.lists(
    st.tuples(
        st.integers(0, 40),  # how far ahead of `next`
        st.sampled_from(["use", "use", "use", "refuse", "idle", "fast-forward"]),
        st.floats(0, 12),  # seconds since the last one
    ),
    max_size=60,
)


@given(window=st.integers(1, 50), uses=USES)
def test_whatever_the_order_of_use_the_keys_are_those_of_the_reference(window: int, uses: list[tuple[int, str, float]]) -> None:
    chain = make_chain()
    now = 0.0
    for ahead, action, seconds in uses:
        now += seconds
        position = chain.next + ahead
        before = (chain.next, chain.reserved)
        if action == "idle":
            chain.drop_idle_rows(now)
        elif action == "fast-forward":
            chain.fast_forward(position)
            assert chain.next == position
        else:
            assert read(chain.message_key(position)) == MESSAGE_KEYS[position]
            if action == "refuse":
                chain.forget()
                assert (chain.next, chain.reserved) == before
            else:
                if position >= chain.reserved:
                    chain.reserve(position, window, now)
                    assert chain.reserved == position + window
                assert read(chain.message_key(position)) == MESSAGE_KEYS[position]
                chain.advance(position)
                assert chain.next == position + 1
        assert chain.reserved >= chain.next
        assert chain._key == CHAIN_KEYS[chain.next]
        snapshot = chain.snapshot()
        assert (snapshot.reserved, bytes(snapshot.chain_key.buffer)) == (chain.reserved, CHAIN_KEYS[chain.reserved])


@pytest.mark.parametrize("window", [1, 256, 1024, 2000])
def test_used_keys_are_wiped_at_once(window: int) -> None:
    """Neither a used message key nor a chain key that leads to one is in any buffer of the chain."""
    chain = make_chain()
    now = 0.0
    for position in range(2 * window if window < 300 else window + 3):
        if position >= chain.reserved:
            chain.reserve(position, window, now)
        chain.message_key(position)
        chain.advance(position)
        held = bytes(chain._key) + bytes(chain._reserved_key) + bytes(chain._rows or b"")
        for used in range(max(0, position - 2), position + 1):
            assert CHAIN_KEYS[used] not in held
            assert MESSAGE_KEYS[used] not in held


def test_skipped_keys_are_wiped_when_a_later_one_is_used() -> None:
    chain = make_chain()
    chain.reserve(0, 64, 0.0)
    chain.reserve(0, 64, 1.0)
    chain.message_key(20)
    chain.advance(20)
    assert chain._rows is not None
    held = bytes(chain._key) + bytes(chain._rows)
    for position in range(21):
        assert MESSAGE_KEYS[position] not in held
        assert CHAIN_KEYS[position] not in held
    assert MESSAGE_KEYS[21] in held


def test_a_busy_chain_keeps_rows_and_an_idle_one_drops_them() -> None:
    chain = make_chain()
    chain.reserve(0, 16, 100.0)
    assert not keeps_rows(chain), "the first window is not known to be busy"
    for position in range(16):
        chain.message_key(position)
        chain.advance(position)
    chain.reserve(16, 16, 100.0 + ROWS_IDLE_S - 0.1)
    rows = chain._rows
    due = chain.rows_drop_at_s
    assert rows is not None
    assert due == 100.0 + 2 * ROWS_IDLE_S - 0.1
    chain.drop_idle_rows(due - 0.01)
    assert chain.rows_drop_at_s == due
    chain.drop_idle_rows(due)
    assert not keeps_rows(chain)
    assert rows == bytes(len(rows))


def test_a_slow_chain_keeps_no_rows() -> None:
    chain = make_chain()
    for position in range(64):
        if position >= chain.reserved:
            chain.reserve(position, 16, position * ROWS_IDLE_S)
        chain.message_key(position)
        chain.advance(position)
        assert chain._rows is None


def test_a_window_beyond_the_bound_is_not_kept() -> None:
    for window, kept in ((MAX_ROWS, True), (MAX_ROWS + 1, False)):
        chain = make_chain()
        chain.reserve(0, 1, 0.0)
        chain.message_key(0)
        chain.advance(0)
        chain.reserve(1, window, 0.0)
        assert (chain._rows is not None) is kept
        assert chain._reserved_key == CHAIN_KEYS[1 + window]


def test_a_refused_far_position_leaves_nothing_behind() -> None:
    chain = make_chain()
    chain.message_key(1000)
    rows = chain._rows
    assert rows is not None
    chain.forget()
    assert rows == bytes(len(rows))
    assert chain._rows is None
    assert read(chain.message_key(0)) == MESSAGE_KEYS[0]


def test_fast_forward_never_moves_back() -> None:
    chain = make_chain()
    chain.fast_forward(10)
    chain.reserve(10, 20, 0.0)
    for position in (0, 9, 10):
        chain.fast_forward(position)
        assert (chain.next, chain.reserved) == (10, 30)
    chain.fast_forward(25)
    assert (chain.next, chain.reserved) == (25, 30)
    chain.fast_forward(31)
    assert (chain.next, chain.reserved) == (31, 31)
    assert chain._reserved_key == CHAIN_KEYS[31]


def test_wipe_and_last_reference() -> None:
    for wipe in (True, False):
        chain = make_chain()
        chain.reserve(0, 8, 0.0)
        chain.reserve(0, 8, 0.0)
        assert chain._rows is not None
        buffers = [chain._key, chain._reserved_key, chain._rows]
        if wipe:
            chain.wipe()
        else:
            del chain
        assert all(buffer == bytes(len(buffer)) for buffer in buffers)


@seed(1)
@given(st.integers(1, 400))
def test_a_restored_chain_starts_at_the_reserved_key(window: int) -> None:
    chain = make_chain()
    chain.reserve(0, window, 0.0)
    snapshot = chain.snapshot()
    again = Chain(HashId.SHA256, snapshot.chain_key, snapshot.reserved)
    assert (again.next, again.reserved) == (window, window)
    assert read(again.message_key(window)) == MESSAGE_KEYS[window]
