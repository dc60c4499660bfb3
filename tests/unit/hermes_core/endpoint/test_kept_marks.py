"""What an app keeps of the nodes it met, and which of it each of them gets back."""

from __future__ import annotations

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.kept_marks import MAX_KEPT, KeptMarks
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.keystore.mark import encode_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark

HOME, AWAY = NodeId("node-0"), NodeId("node-1")
OLD, NEW = Identity.generate(), Identity.generate()


def make_mark(commit_counter: int, identity: Identity = OLD) -> bytes:
    return encode_mark(sign_mark(identity, b"i" * 16, KeystoreMark(1, commit_counter)))


def test_a_node_gets_back_the_highest_that_it_gave() -> None:
    marks = KeptMarks()
    assert marks.find(HOME, OLD.public_key) == b""
    for counter in (5, 9, 7):
        marks.take(HOME, make_mark(counter))
    assert marks.find(HOME, OLD.public_key) == make_mark(9)


def test_another_node_gets_nothing_of_it() -> None:
    marks = KeptMarks()
    marks.take(HOME, make_mark(5))
    assert marks.find(AWAY, OLD.public_key) == b""


def test_a_node_with_a_new_key_gets_what_it_gave_under_the_former_one() -> None:
    marks = KeptMarks()
    marks.take(HOME, make_mark(5))
    assert marks.find(HOME, NEW.public_key) == make_mark(5)
    marks.take(HOME, make_mark(2, NEW))
    assert marks.find(HOME, NEW.public_key) == make_mark(2, NEW)
    assert marks.find(HOME, OLD.public_key) == make_mark(5), "put back to before the renewal, it knows this key alone"


def test_what_nobody_signed_is_not_kept() -> None:
    marks = KeptMarks()
    with pytest.raises(ProtocolError) as caught:
        marks.take(HOME, (mark := make_mark(5))[:-1] + bytes((mark[-1] ^ 1,)))
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert marks.find(HOME, OLD.public_key) == b""


def test_the_one_that_was_not_heard_of_for_longest_goes_first() -> None:
    marks, mark = KeptMarks(), make_mark(1)
    for index in range(MAX_KEPT):
        marks.take(NodeId(f"n-{index}"), mark)
    marks.take(NodeId("n-0"), mark)
    marks.take(NodeId("one-more"), mark)
    assert marks.find(NodeId("n-1"), OLD.public_key) == b""
    assert all(marks.find(NodeId(name), OLD.public_key) for name in ("n-0", "n-2", "one-more"))
