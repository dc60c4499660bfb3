"""When a node looks for commits that its witnesses are to know of: once a second, whatever else it waits for."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark, encode_mark, parse_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.tables import Table
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.mark_keeper import SAVE_AFTER_S, MarkKeeper
from hermes_core.mesh.messages import HeldMark, OwnMark
from hermes_core.mesh.opening_check import SEND_EVERY_S, OpeningCheck, OpeningParams, OpeningState
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.links import GossipLink
from hermes_node.mesh.witnessing import Witnessing
from tests.support.renewals import make_chain

OWN, OTHER = NodeId("node-0"), NodeId("node-1")
OURS, THEIRS = Identity.generate(), Identity.generate()
MARK = encode_mark(sign_mark(THEIRS, b"t" * 16, KeystoreMark(1, 1)))


@dataclass
class Keystore:
    """Stands where the keystore does: `commits` is what the test sets."""

    commits: int = 1
    resumed: int = 0
    judged: list[Mark] = field(default_factory=list)

    let_out: bool = False

    async def let_marks_out(self) -> None:
        self.let_out = True

    def current_mark(self) -> Mark:
        assert self.let_out, "the next opening would not know whose mark this is"
        return sign_mark(OURS, b"i" * 16, KeystoreMark(1, self.commits))

    def count_news(self) -> int:
        return self.commits

    async def take_mark(self, mark: Mark) -> MarkVerdict:
        self.judged.append(mark)
        return MarkVerdict.FINE

    def let_chats_resume(self) -> None:
        self.resumed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Link(GossipLink):
    """Keeps what is sent on it."""

    sent: list[object]

    def send(self, message: object) -> None:
        self.sent.append(message)


@dataclass
class Scene:
    witnessing: Witnessing
    keystore: Keystore
    clock: Clock
    link: Link
    kept: list[set[Table]]

    def run(self, seconds: float) -> list[int]:
        """As the mesh's driver does that has nothing else to do; the counters that were sent."""
        until = self.clock.now + seconds
        while (due := self.witnessing.next_due()) <= until:
            self.clock.now = max(self.clock.now, due)
            self.witnessing.tick()
        self.clock.now = until
        sent, self.link.sent = self.link.sent, []
        return [parse_mark(message.mark).commit_counter for message in sent if isinstance(message, OwnMark)]


@pytest.fixture
async def scene() -> Scene:
    clock, keystore = Clock(), Keystore()
    kept: list[set[Table]] = []
    witnessing = Witnessing(
        check=OpeningCheck(OWN, (), OpeningParams(), clock.now),
        keeper=MarkKeeper((), 8),
        own=keystore,
        keep=lambda puts, deletes: kept.append({table for table, _ in (*puts, *deletes)}),
        now=clock,
        log=EventLog(node_id=OWN, stream=io.StringIO()),
    )
    descriptor = sign_descriptor(THEIRS, node_id=OTHER, address="a:1", incarnation=1, version="")
    link = Link(descriptor)
    link.sent = []
    return Scene(witnessing, keystore, clock, link, kept)


@pytest.mark.parametrize("held", [False, True], ids=["at rest", "while a mark waits for the disk"])
async def test_commits_are_looked_for_once_a_second_whatever_else_is_due(scene: Scene, held: bool) -> None:
    scene.witnessing.update_members([OTHER])
    scene.witnessing.linked(scene.link)
    await scene.witnessing.receive(scene.link, HeldMark(b""))
    assert scene.run(SEND_EVERY_S) == [1]
    if held:
        await scene.witnessing.receive(scene.link, OwnMark(MARK))
    scene.keystore.commits = 2
    assert scene.run(SEND_EVERY_S) == [2]
    assert scene.run(10 * SEND_EVERY_S) == []


async def test_the_operators_word_lets_the_chats_go_on(scene: Scene) -> None:
    assert scene.keystore.resumed == 0
    scene.witnessing.take_operator_answer()
    assert scene.witnessing.state is OpeningState.VERIFIED
    assert scene.keystore.resumed == 1


async def test_names_of_witnesses_and_the_marks_that_wait_are_one_commit(scene: Scene) -> None:
    scene.witnessing.linked(scene.link)
    await scene.witnessing.receive(scene.link, OwnMark(MARK))
    assert scene.kept == [], "it waits for others, or for its time"
    scene.witnessing.update_members([OTHER])
    assert scene.kept == [{Table.MARK, Table.META}]
    scene.run(2 * SAVE_AFTER_S)
    assert scene.kept == [{Table.MARK, Table.META}], "nothing is left to keep"
    await scene.witnessing.receive(scene.link, OwnMark(encode_mark(sign_mark(THEIRS, b"t" * 16, KeystoreMark(1, 2)))))
    scene.run(2 * SAVE_AFTER_S)
    assert scene.kept[1:] == [{Table.MARK}]


async def test_a_node_that_renewed_its_key_gets_back_what_is_held_of_the_former_one(scene: Scene) -> None:
    await scene.witnessing.receive(scene.link, OwnMark(MARK))
    new = Identity.generate()
    renewals = make_chain(OTHER, [THEIRS, new])
    again = Link(sign_descriptor(new, node_id=OTHER, address="a:1", incarnation=2, version="", renewals=renewals))
    again.sent = []
    scene.witnessing.linked(again)
    assert again.sent == [HeldMark(MARK)]
    own = encode_mark(sign_mark(new, b"n" * 16, KeystoreMark(1, 9)))
    await scene.witnessing.receive(again, OwnMark(own))
    again.sent.clear()
    scene.witnessing.linked(again)
    assert again.sent == [HeldMark(own)], "what it said under the new key is newer"
