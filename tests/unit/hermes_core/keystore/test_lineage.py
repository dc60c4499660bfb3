"""The lineage and its judge, against a world of copies: every rollback is judged, once, and no honest run ever is."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.crypto.signing import Identity
from hermes_core.errors import KeystoreTamperedError, ProtocolError
from hermes_core.keystore.lineage import (
    KEPT_OPENINGS,
    MAX_LOST_COMMITS,
    Lineage,
    MarkVerdict,
    Opening,
    encode_lineage,
    encode_told,
    judge_mark,
    parse_lineage,
    parse_told,
)
from hermes_core.keystore.mark import MARK_BYTES, MAX_COUNTER, Mark, encode_mark, parse_mark, sign_mark
from hermes_core.keystore.rollback import RollbackSign
from hermes_core.keystore.state import KeystoreMark

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


Image = tuple[int, Lineage, bool]


@dataclass
class Node:
    """A keystore and who uses it: counter and lineage are on the disk, an image is both."""

    counter: int = 1
    lineage: Lineage = field(default_factory=Lineage)
    told: bool = False
    ids: random.Random = field(default_factory=lambda: random.Random(1))

    def open(self) -> Node:
        self.lineage = self.lineage.begin(self.ids.randbytes(16), self.counter, told=self.told)
        self.told = False
        self.counter += 1
        return self

    def work(self, commits: int) -> Node:
        self.counter += commits
        return self

    @property
    def mark(self) -> Mark:
        """It leaves the node: that this may be so is committed before, once an opening."""
        if not self.told:
            self.told = True
            self.counter += 1
        return Mark(KEY, self.lineage.current.open_id, 1, self.counter, b"")

    def image(self) -> Image:
        return self.counter, self.lineage, self.told

    def put_back(self, image: Image) -> Node:
        self.counter, self.lineage, self.told = image
        return self

    def judge(self, mark: Mark) -> MarkVerdict:
        verdict, rollback = judge_mark(self.lineage, self.counter, {KEY}, mark)
        assert (rollback is not None) == (verdict is MarkVerdict.ROLLED_BACK)
        if rollback is not None:
            self.counter = max(self.counter, mark.commit_counter) + 1
            self.lineage = self.lineage.note(mark, self.counter)
        return verdict


IGNORED, FINE, ROLLED_BACK = MarkVerdict.IGNORED, MarkVerdict.FINE, MarkVerdict.ROLLED_BACK


def rolled_back(lost: int = 70) -> tuple[Node, Mark, Image]:
    """A node whose image was put back, the highest mark of what was lost, and the image."""
    node = Node().open().work(50)
    image = node.image()
    mark = node.work(lost).mark
    return node.put_back(image), mark, image


@pytest.mark.parametrize("work", range(20))
def test_what_was_lost_is_judged_whenever_the_mark_comes_and_once(work: int) -> None:
    """Also when the node has outrun the mark long since, and after clean restarts."""
    node, mark, _ = rolled_back()
    node.open().work(work * 40)
    assert node.judge(mark) is ROLLED_BACK
    assert node.counter > mark.commit_counter
    for _ in range(3):
        assert node.judge(mark) is IGNORED
        assert node.judge(node.mark) is FINE
        node.work(5).open()


@pytest.mark.parametrize("openings", range(20))
def test_openings_that_are_unknown_and_those_that_went_further_give_it_away(openings: int) -> None:
    node = Node().open().work(50)
    assert node.judge(node.mark) is FINE  # somebody knows of this opening
    image = node.image()
    node.work(3)
    for _ in range(openings):
        node.open().work(2)
    mark = node.mark
    node.put_back(image).open()
    verdict, rollback = judge_mark(node.lineage, node.counter, {KEY}, mark)
    assert verdict is ROLLED_BACK
    assert rollback is not None
    assert rollback.sign is (RollbackSign.UNKNOWN_OPENING if openings else RollbackSign.BEYOND_OPENING)
    assert (rollback.proven, rollback.found) == (mark.commit_counter, node.counter)


@pytest.mark.parametrize("work", range(20))
def test_twice_in_a_row_is_two(work: int) -> None:
    node, first, image = rolled_back()
    assert node.open().judge(first) is ROLLED_BACK
    second = node.work(work).mark
    node.put_back(image).open()
    assert node.judge(second) is ROLLED_BACK
    assert node.judge(first) is IGNORED, "what was lost before is older than the verdict"
    assert node.judge(second) is IGNORED


def test_another_mark_of_what_was_lost_is_the_same_rollback() -> None:
    node = Node().open().work(50)
    image, marks = node.image(), [node.work(20).mark for _ in range(3)]
    node.put_back(image).open()
    assert node.judge(marks[0]) is ROLLED_BACK
    assert [node.judge(mark) for mark in marks] == [IGNORED] * 3


def test_putting_the_newest_volume_back_after_all_makes_the_detour_the_lost_one() -> None:
    node, mark, _ = rolled_back()
    newest = (mark.commit_counter, node.lineage, True)
    assert node.open().judge(mark) is ROLLED_BACK
    detour = node.work(9).mark
    node.put_back(newest).open()
    assert node.judge(mark) is FINE
    assert node.judge(detour) is ROLLED_BACK


@pytest.mark.parametrize("loops", [0, 1, KEPT_OPENINGS - 1, KEPT_OPENINGS, KEPT_OPENINGS + 1])
def test_a_crash_loop_hides_no_rollback_that_it_has_not_outrun_and_is_none(loops: int) -> None:
    honest = Node().open().work(50)
    mark = honest.mark
    node, lost, _ = rolled_back(lost=KEPT_OPENINGS + 10)
    for _ in range(loops):
        honest.open()
        node.open()
    assert honest.open().judge(mark) in {FINE, IGNORED}
    assert node.open().judge(lost) is ROLLED_BACK


@pytest.mark.parametrize("lost", [1, 5, 200])
def test_no_crash_loop_hides_a_rollback_while_nobody_is_told_of_its_openings(lost: int) -> None:
    node = Node().open().work(50)
    image = node.image()
    mark = node.work(lost).mark
    node.put_back(image)
    for _ in range(20 * KEPT_OPENINGS):
        node.open().work(1)
    assert len(node.lineage.openings) == 1
    assert node.judge(mark) is ROLLED_BACK


def test_how_many_openings_that_others_were_told_of_hide_what_was_lost_before_them() -> None:
    """The bound that the security page states: so many, none of which met anybody who held a mark of what was lost."""
    node, mark, _ = rolled_back(lost=1)
    verdicts = []
    for _ in range(KEPT_OPENINGS + 1):
        node.open()
        verdicts.append(judge_mark(node.lineage, node.counter, {KEY}, mark)[0])
        assert node.judge(node.mark) is FINE
    assert verdicts == [ROLLED_BACK] * KEPT_OPENINGS + [IGNORED]


@pytest.mark.parametrize("kept", [False, True], ids=["told", "renewed"])
def test_an_opening_is_kept_that_told_somebody_or_renewed_the_identity(kept: bool) -> None:
    first = Lineage().begin(b"a" * 16, 1, told=False)
    if kept:
        first = replace(first, openings=(replace(first.current, former_key=OTHER_KEY),))
    later = first.begin(b"b" * 16, 7, told=not kept)
    assert [opening.open_id[:1] for opening in later.openings] == [b"a", b"b"]
    assert (later.openings[0].reached, later.current.start) == (7, 8)
    assert later.begin(b"c" * 16, 9, told=False).current == Opening(b"c" * 16, 8), "the second told nobody"


def test_what_was_told_is_noted_and_an_older_hermes_that_noted_nothing_may_have_told_anybody() -> None:
    lineage = Lineage().begin(b"a" * 16, 1, told=False)
    for told in (False, True):
        assert parse_told(encode_told(b"a" * 16, told=told), lineage) is told
        assert parse_told(encode_told(b"b" * 16, told=told), lineage) is True
    for bad in (b"", b"a" * 16, b"a" * 16 + b"\2", b"a" * 18):
        with pytest.raises(KeystoreTamperedError):
            parse_told(bad, lineage)


def test_a_true_mark_from_long_ago_says_nothing() -> None:
    node = Node().open().work(50)
    marks = [node.mark]
    marks += [node.work(1).open().mark for _ in range(KEPT_OPENINGS + 6)]
    verdicts = [node.judge(mark) for mark in marks]
    assert verdicts[:7] == [IGNORED] * 7
    assert set(verdicts[8:]) == {FINE}


def test_the_bound_of_age_and_one_past_it() -> None:
    lineage = Lineage((Opening(b"a" * 16, 10, 19), Opening(b"b" * 16, 20)))
    for counter, verdict in ((9, IGNORED), (10, IGNORED), (11, ROLLED_BACK)):
        assert judge_mark(lineage, 25, {KEY}, Mark(KEY, b"?" * 16, 1, counter, b""))[0] is verdict
    for open_id, counter, verdict in ((b"a", 19, FINE), (b"a", 20, ROLLED_BACK), (b"b", 25, FINE), (b"b", 26, ROLLED_BACK)):
        assert judge_mark(lineage, 25, {KEY}, Mark(KEY, open_id * 16, 1, counter, b""))[0] is verdict


def test_only_the_nodes_own_keys_count_and_former_ones_go_on_counting() -> None:
    node, mark, _ = rolled_back()
    node.open()
    foreign = Mark(OTHER_KEY, mark.open_id, 1, mark.commit_counter, b"")
    assert node.judge(foreign) is IGNORED
    *before, present = node.lineage.openings
    renewed = replace(node.lineage, openings=(*before, replace(present, former_key=OTHER_KEY)))
    assert parse_lineage(encode_lineage(renewed)) == renewed
    assert renewed.former_keys == {OTHER_KEY}
    assert judge_mark(renewed, node.counter, {KEY} | renewed.former_keys, foreign)[0] is ROLLED_BACK


def test_a_former_key_proves_one_rollback_and_no_more() -> None:
    """Whoever stole it, which is why it was renewed, signs marks as he likes; the present key goes on counting."""
    node, _, _ = rolled_back()
    node.open()
    *before, present = node.lineage.openings
    node.lineage = replace(node.lineage, openings=(*before, replace(present, former_key=OTHER_KEY)))
    node.open()
    forged = [Mark(OTHER_KEY, bytes([number]) * 16, 1, node.counter + 1000 * number, b"") for number in (1, 2, 3)]
    verdicts = []
    for mark in forged:
        keys = {KEY} | node.lineage.former_keys
        verdict, _ = judge_mark(node.lineage, node.counter, keys, mark)
        verdicts.append(verdict)
        if verdict is ROLLED_BACK:
            node.counter = mark.commit_counter + 1
            node.lineage = node.lineage.note(mark, node.counter)
    assert verdicts == [ROLLED_BACK, IGNORED, IGNORED]
    assert parse_lineage(encode_lineage(node.lineage)) == node.lineage
    assert node.judge(Mark(KEY, b"!" * 16, 1, node.counter + 1, b"")) is ROLLED_BACK


def test_a_mark_beyond_what_any_node_commits_does_not_use_up_the_counter() -> None:
    lineage = Lineage((Opening(b"a" * 16, 10),))
    for counter, verdict in ((25 + MAX_LOST_COMMITS, ROLLED_BACK), (26 + MAX_LOST_COMMITS, IGNORED), (MAX_COUNTER, IGNORED)):
        assert judge_mark(lineage, 25, {KEY}, Mark(KEY, b"?" * 16, 1, counter, b""))[0] is verdict


def test_marks_of_two_lost_openings_are_judged_twice_if_the_lower_one_comes_first() -> None:
    node = Node().open().work(50)
    image = node.image()
    lower = node.open().work(5).mark
    higher = node.open().work(5).mark
    for marks, verdicts in (((lower, higher), [ROLLED_BACK] * 2), ((higher, lower), [ROLLED_BACK, IGNORED])):
        node.put_back(image).open()
        assert [node.judge(mark) for mark in marks] == verdicts


def test_a_keystore_without_a_lineage_ignores_everything() -> None:
    assert judge_mark(Lineage(), 5, {KEY}, Mark(KEY, b"a" * 16, 1, 9, b"")) == (IGNORED, None)


Commits = tuple[int, ...]
"""What a copy holds: the numbers of its commits, each made once in the whole world."""
HONEST = ["work", "crash", "mark", "hand over"]


@settings(max_examples=400)
@given(st.lists(st.sampled_from([*HONEST, "image", "back"]), max_size=150), st.integers(0, 2**32))
def test_random_lives(steps: list[str], seed: int) -> None:
    """A mark is judged a rollback if, and only if, its commit is lost here and no verdict has been given since it was.

    But one that is further than every verdict so far is judged again: a mark of another opening that the same rollback lost
    looks like one of an opening that was lost since.
    """
    rng = random.Random(seed)
    node, made = Node(ids=rng).open(), [0]
    held: Commits = (0,)
    judged_at = -1  # the number of the commit that noted the last verdict in this copy
    image = (node.image(), held, judged_at)
    marks: list[tuple[Mark, int]] = []

    def commit() -> None:
        nonlocal held
        made.append(len(made))
        held = (*held, made[-1])

    def hand_out() -> None:
        known, mark = node.told, node.mark
        if not known:
            commit()
        marks.append((mark, held[-1]))

    hand_out()

    for step in steps:
        if step == "work":
            node.work(1)
            commit()
        elif step == "crash":
            node.open()
            commit()
        elif step == "mark":
            hand_out()
        elif step == "image":
            image = (node.image(), held, judged_at)
        elif step == "back":
            stored, held, judged_at = image
            node.put_back(stored).open()
            commit()
        else:
            mark, number = rng.choice(marks)
            settled, oldest = node.lineage.settled, node.lineage.openings[0].start
            lost = number not in held
            verdict = node.judge(mark)
            if verdict is ROLLED_BACK:
                assert lost
                assert number > judged_at or mark.commit_counter > settled
                commit()
                judged_at = held[-1]
            else:
                forgotten = len(node.lineage.openings) == KEPT_OPENINGS and mark.commit_counter <= oldest
                assert not lost or number < judged_at or mark.commit_counter <= settled or forgotten
            assert node.judge(mark) is not ROLLED_BACK, "one rollback is judged once"
        assert parse_lineage(encode_lineage(node.lineage)) == node.lineage


@settings(max_examples=200)
@given(st.lists(st.sampled_from(HONEST), max_size=300), st.integers(0, 2**32))
def test_no_honest_life_is_ever_judged(steps: list[str], seed: int) -> None:
    rng = random.Random(seed)
    node = Node(ids=rng).open()
    marks = [node.mark]
    for step in steps:
        if step == "work":
            node.work(rng.randrange(1, 30))
        elif step == "crash":
            node.open()
        elif step == "mark":
            marks.append(node.mark)
        else:
            assert node.judge(rng.choice(marks)) is not ROLLED_BACK


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_no_bytes_make_parsing_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(KeystoreTamperedError):
        assert encode_lineage(parse_lineage(data)) == data
    with pytest.raises(ProtocolError):
        parse_mark(data)


def test_bounds_of_a_stored_lineage() -> None:
    openings = tuple(Opening(bytes([n]) * 16, n + 1, n + 1) for n in range(KEPT_OPENINGS + 1))
    whole = Lineage(openings[:-1], 7, (b"n" * 16,))
    assert parse_lineage(encode_lineage(whole)) == whole
    good = encode_lineage(whole)
    for bad in (b"", encode_lineage(Lineage()), encode_lineage(Lineage(openings)), b"\x02" + good[1:], good + b"\0", good[:-1]):
        with pytest.raises(KeystoreTamperedError):
            parse_lineage(bad)


def test_a_mark_is_its_nodes_word() -> None:
    identity = Identity.generate()
    mark = sign_mark(identity, b"i" * 16, KeystoreMark(3, 2**63 - 1))
    data = encode_mark(mark)
    assert len(data) == MARK_BYTES
    assert parse_mark(data) == mark
    for at in range(MARK_BYTES):
        with pytest.raises(ProtocolError):
            parse_mark(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(ProtocolError):
            parse_mark(wrong)
    with pytest.raises(ProtocolError):
        parse_mark(encode_mark(sign_mark(identity, b"i" * 16, KeystoreMark(3, 2**63))))
