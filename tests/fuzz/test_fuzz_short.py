"""The corpus of every fuzz target, and a few seconds of mutations of it (hypothesis; `python -m tests.fuzz` runs for long)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus

TARGETS = corpus.load_targets()
EDIT = st.tuples(
    st.sampled_from(["set", "flip", "insert", "delete", "repeat", "cut"]), st.integers(0, 4096), st.integers(0, 255)
)


def mutate(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(data)
    for kind, where, value in edits:
        place = where % (len(changed) + 1)
        if kind == "insert":
            changed[place:place] = bytes([value])
        elif kind == "repeat":
            changed[place:place] = changed[place : place + value]
        elif kind == "delete":
            del changed[place : place + 1 + value % 8]
        elif kind == "cut":
            del changed[place:]
        elif place < len(changed):
            changed[place] = value if kind == "set" else changed[place] ^ (1 << value % 8)
    return bytes(changed)


def test_every_target_is_listed() -> None:
    assert corpus.list_targets() == list(TARGETS)


def test_the_corpus_holds_the_authentic_inputs() -> None:
    """If this fails the formats changed: `python -m tests.fuzz --seed-corpus`."""
    for target, seeds in corpus.make_seeds().items():
        assert set(seeds) <= set(corpus.read_corpus(target)), target


@pytest.mark.parametrize("target", list(TARGETS))
def test_corpus(target: str) -> None:
    for data in corpus.read_corpus(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", list(TARGETS))
def test_mutations(target: str) -> None:
    seeds = corpus.read_corpus(target)

    @settings(max_examples=200)
    @given(st.one_of(st.builds(mutate, st.sampled_from(seeds), st.lists(EDIT, max_size=6)), st.binary(max_size=200)))
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()
