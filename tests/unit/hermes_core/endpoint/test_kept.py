"""Chats that outlive their app: what is kept is ahead of the wire, and what goes on from it sends and opens what it should."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from hermes_core.endpoint.delivery import OutgoingMessage
from hermes_core.endpoint.events import AppEvent, ChatEnded, ChatReady, MessageReceived, MessagesAcked
from hermes_core.endpoint.output import AppOutput
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode, ErrorScope, KeystoreTamperedError
from hermes_core.ids import ChatId, NodeId, derive_app_id
from hermes_core.keystore.app_notice_codec import parse_app_ended
from hermes_core.keystore.app_record import AppChatState, KeptMoves
from hermes_core.keystore.app_record_codec import parse_app_chat, parse_outgoing
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    ClosedAck,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    MoveOffer,
    Offer,
    PathState,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import (
    CLAIM_ASK,
    DATA,
    encode_claim,
    encode_data,
    parse_ack,
    parse_ask,
    parse_data_frame,
    parse_kind_and_seq,
)
from hermes_core.ratchet.chat_claim import MessageCursor
from hermes_core.ratchet.padding import pad
from tests.support.app_volume import AppVolume
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEY, NOW, OTHER_HOME, OTHER_KEY, OWN_KEY, PEER_KEY, FarEnds

STARTS = itertools.count()
NODE = NodeId("node-0")
PEER = derive_app_id(PEER_KEY.public_key)


@dataclass
class Node:
    """The home node as far as it matters here, and the peer behind it: it opens what comes and says what it is told to."""

    far: FarEnds
    frames: dict[int, bytes] = field(default_factory=dict)
    acked: int = 0
    replies: list[Sealed] = field(default_factory=list)

    def take(self, sends: list[ChatMessage]) -> None:
        for message in sends:
            if isinstance(message, Sealed):
                payload = self.far.leg.open(message.frame, NOW, nonce=HOME.send_nonce)
                kind, seq = parse_kind_and_seq(payload)
                if kind == DATA:
                    frame = parse_data_frame(payload)
                    assert self.frames.setdefault(seq, frame) == frame, "sent again as other bytes"
                elif kind == CLAIM_ASK:
                    claims = self.far.end_to_end.chat_claims(parse_ask(payload), MessageCursor(100, 0, 1))
                    self.replies += [self.far.seal_payload(encode_claim(claim)) for claim in claims]
                else:
                    self.far.end_to_end.check_ack(*parse_ack(payload))
                    self.acked = max(self.acked, seq)


class Owner:
    """An app's owner with a volume. `crash` forgets everything but that."""

    def __init__(self) -> None:
        self.volume = AppVolume()
        self.events: list[AppEvent] = []
        self.machine = self._make()

    def _make(self) -> AppChats:
        random = SeededRandom(f"start {next(STARTS)}")
        return AppChats(identity=OWN_KEY, params=AppParams(), random=random, durable=True)

    def crash(self) -> None:
        self.events.clear()
        self.machine = self._make()
        self.volume.restore_into(self.machine, NOW)

    def collect(self, *, commit: bool = True) -> AppOutput:
        output = self.machine.take_output()
        self.events += output.events
        if commit:
            self.volume.commit(output.changes)
        return output

    def connect(self) -> list[ChatMessage]:
        self.machine.connected(NODE, HOME_KEY.public_key, make_stream_keys(b"1" * 32, dialled=True), NOW)
        return self.collect().sends

    @property
    def contents(self) -> list[bytes]:
        return [event.content for event in self.events if isinstance(event, MessageReceived)]


def open_chat() -> tuple[Owner, Node, ChatId]:
    owner = Owner()
    owner.connect()
    chat_id = owner.machine.start_chat(PEER, NOW)
    (offer,) = owner.collect().sends
    assert isinstance(offer, Offer)
    assert owner.volume == AppVolume(), "a chat that nobody answered is not kept"
    node = Node(FarEnds(chat_id))
    owner.machine.receive(node.far.answer(offer), NOW)
    (confirm,) = owner.collect().sends
    node.far.take(confirm)
    return owner, node, chat_id


def come_back(owner: Owner, node: Node, chat_id: ChatId) -> list[ChatMessage]:
    """Another start, another stream, and the path comes up; what was sent then."""
    owner.crash()
    (claims,) = owner.connect()
    assert isinstance(claims, Resume)
    node.far.leg.resume(claims.claims, HOME.binding, NOW)
    owner.machine.receive(Resume(chat_id, node.far.leg.claims(HOME.binding)), NOW)
    owner.machine.receive(PathState(chat_id, up=True), NOW)
    sends = owner.collect().sends
    node.take(sends)
    while node.replies:
        owner.machine.receive(node.replies.pop(0), NOW)
    node.take(owner.collect().sends)
    return sends


def test_a_message_is_kept_with_the_frame_that_leaves_and_leaves_again_as_the_same_bytes() -> None:
    owner, node, chat_id = open_chat()
    for number in (1, 2):
        owner.machine.send(chat_id, b"message %d" % number, NOW)
        output = owner.collect(commit=False)
        assert output.changes is not None
        assert [(key, record.seq) for key, record in output.changes.messages.items()] == [((chat_id, number), number)]
        node.take(output.sends)
        assert output.changes.messages[chat_id, number].frame == node.frames[number]
        owner.volume.commit(output.changes)
    come_back(owner, node, chat_id)
    assert sorted(node.frames) == [1, 2]
    assert owner.machine.send(chat_id, b"message 3", NOW) == 3
    node.take(owner.collect().sends)
    contents = [node.far.end_to_end.open(node.frames[seq], NOW, aad_suffix=seq.to_bytes(8, "big")) for seq in (1, 2, 3)]
    assert [content[4:13] for content in contents] == [b"message 1", b"message 2", b"message 3"]


def test_a_message_that_waits_for_the_path_is_kept_and_sealed_in_the_start_that_sends_it() -> None:
    owner, node, chat_id = open_chat()
    owner.machine.receive(PathState(chat_id, up=False), NOW)
    owner.machine.send(chat_id, b"later", NOW)
    assert owner.collect().sends == []
    assert parse_outgoing(owner.volume.messages[chat_id, 1]).epoch == 0
    sends = come_back(owner, node, chat_id)
    assert len([message for message in sends if isinstance(message, Sealed)]) == 2, (
        "acknowledgement and ask: the message would be new"
    )
    assert parse_outgoing(owner.volume.messages[chat_id, 1]).frame == node.frames[1]


def test_what_the_peer_acknowledged_is_not_kept_nor_sent_again() -> None:
    owner, node, chat_id = open_chat()
    for _ in range(3):
        owner.machine.send(chat_id, b"x", NOW)
    node.take(owner.collect().sends)
    owner.machine.receive(node.far.seal_ack(2), NOW)
    owner.collect()
    assert owner.events[-1] == MessagesAcked(chat_id, 2)
    assert sorted(owner.volume.messages) == [(chat_id, 3)]
    node.frames.clear()
    come_back(owner, node, chat_id)
    assert sorted(node.frames) == [3]
    assert owner.machine.chats[chat_id].transfer.outgoing.last_seq == 3


@pytest.mark.parametrize("acknowledged", range(5))
def test_what_was_not_acknowledged_is_opened_again_and_nothing_before_it(acknowledged: int) -> None:
    owner, node, chat_id = open_chat()
    frames = [node.far.end_to_end.seal(_pad(number), NOW, nonce=_NONCE, aad_suffix=_seq(number)) for number in range(1, 7)]
    _deliver(owner, node, frames, range(1, 5))
    assert owner.contents == [b"%d" % number for number in range(1, 5)]
    owner.machine.acknowledge(chat_id, acknowledged, NOW)
    output = owner.collect()
    if acknowledged:
        assert output.changes is not None, "the cursor is kept before the acknowledgement leaves"
        assert parse_app_chat(owner.volume.chats[chat_id]).taken == acknowledged
    node.take(output.sends)
    assert node.acked == acknowledged
    come_back(owner, node, chat_id)
    assert node.acked == acknowledged
    _deliver(owner, node, frames, range(1, 7))
    assert owner.contents == [b"%d" % number for number in range(acknowledged + 1, 7)]


def test_the_disk_opens_nothing_that_was_acknowledged() -> None:
    owner, node, chat_id = open_chat()
    frames = [node.far.end_to_end.seal(_pad(number), NOW, nonce=_NONCE, aad_suffix=_seq(number)) for number in (1, 2)]
    _deliver(owner, node, frames, (1, 2))
    owner.machine.acknowledge(chat_id, 1, NOW)
    owner.collect()
    current = parse_app_chat(owner.volume.chats[chat_id]).end_to_end.current
    assert current is not None
    assert current.recv.reserved == 1


def test_after_a_rekey_the_messages_are_kept_in_the_new_epoch_with_the_new_keys() -> None:
    owner, node, chat_id = open_chat()
    owner.machine.send(chat_id, b"before", NOW)
    node.take(owner.collect().sends)
    owner.machine.rekey(chat_id, NOW)
    offer = next(message for message in owner.collect().sends if isinstance(message, Offer))
    owner.machine.receive(node.far.answer(offer), NOW)
    output = owner.collect()
    confirm = next(message for message in output.sends if isinstance(message, Confirm))
    node.far.take(confirm)
    assert parse_outgoing(owner.volume.messages[chat_id, 1]).epoch == 2
    node.frames.clear()
    come_back(owner, node, chat_id)
    content = node.far.end_to_end.open(node.frames[1], NOW, aad_suffix=_seq(1))
    assert content[4:10] == b"before"


def test_messages_of_two_epochs_that_were_not_acknowledged_come_again_in_the_newer() -> None:
    owner, node, chat_id = open_chat()
    old = [node.far.end_to_end.seal(_pad(number), NOW, nonce=_NONCE, aad_suffix=_seq(number)) for number in (1, 2)]
    _deliver(owner, node, old, (1, 2))
    owner.machine.receive(node.far.offer(), NOW)
    answer = next(message for message in owner.collect().sends if isinstance(message, Answer))
    owner.machine.receive(node.far.complete(answer), NOW)
    node.take(owner.collect().sends)
    new = [node.far.end_to_end.seal(_pad(number), NOW, nonce=_NONCE, aad_suffix=_seq(number)) for number in (1, 2, 3, 4)]
    for seq in (3, 4):
        owner.machine.receive(node.far.seal_payload(_data(seq, new[seq - 1])), NOW)
    assert (owner.collect(), owner.contents)[1] == [b"1", b"2", b"3", b"4"]
    for acknowledged in (1, 2, 3):
        owner.machine.acknowledge(chat_id, acknowledged, NOW)
        owner.collect()
        current = parse_app_chat(owner.volume.chats[chat_id]).end_to_end.current
        assert current is not None
        assert current.recv.reserved == acknowledged
    come_back(owner, node, chat_id)
    _deliver(owner, node, new, range(1, 5))
    assert owner.contents == [b"4"]


def test_an_answer_is_kept_before_it_leaves_and_its_confirmation_counts_in_the_next_start() -> None:
    owner = Owner()
    owner.connect()
    far = FarEnds(ChatId(bytes(range(16))))
    owner.machine.receive(far.offer(NOW), NOW)
    assert owner.collect().changes is None, "an offer that nobody took is not kept"
    owner.machine.accept(far.chat_id, NOW)
    (answer,) = owner.collect().sends
    assert parse_app_chat(owner.volume.chats[far.chat_id]).state is AppChatState.ACCEPTED
    owner.crash()
    owner.connect()
    owner.machine.receive(far.complete(answer), NOW)
    owner.collect()
    assert ChatReady(far.chat_id) in owner.events
    assert parse_app_chat(owner.volume.chats[far.chat_id]).state is AppChatState.ACTIVE


def test_a_store_that_has_not_heard_that_its_chat_is_open_and_whose_home_has_more_than_it_ends_the_chat() -> None:
    owner = Owner()
    owner.connect()
    far = FarEnds(ChatId(bytes(range(16))))
    owner.machine.receive(far.offer(NOW), NOW)
    owner.collect()
    owner.machine.accept(far.chat_id, NOW)
    owner.collect()
    owner.crash()
    owner.connect()
    rollback = ErrorNotice(ErrorCode.ROLLBACK_DETECTED, ErrorScope.CHAT, far.chat_id, "", 0)
    owner.machine.receive(rollback, NOW)
    sends = owner.collect().sends
    assert Delete(far.chat_id, failed=True) in sends
    assert ChatEnded(far.chat_id, CloseReason.STATE_LOST) in owner.events


def test_a_rekey_that_a_cure_needs_is_wanted_in_the_next_start() -> None:
    owner, node, chat_id = open_chat()
    owner.machine.receive(PathState(chat_id, up=False), NOW)
    owner.machine.rekey(chat_id, NOW)
    owner.collect()
    sends = come_back(owner, node, chat_id)
    assert [message for message in sends if isinstance(message, Offer)], "the wish is forgotten"


@pytest.mark.parametrize("how", ["deleted", "closed"])
def test_nothing_of_a_chat_that_is_over_stays(how: str) -> None:
    owner, node, chat_id = open_chat()
    owner.machine.send(chat_id, b"x", NOW)
    node.take(owner.collect().sends)
    proofs = owner.machine.chats[chat_id].end_to_end.prove_end()
    assert proofs
    if how == "deleted":
        owner.machine.delete(chat_id, NOW)
        says: list[ChatMessage] = [Delete(chat_id, proofs=proofs)] * 2
    else:
        owner.machine.receive(Closed(chat_id, CloseReason.EXPIRED), NOW)
        says = [ClosedAck(chat_id, CloseReason.EXPIRED), Delete(chat_id, failed=True)]
    told = [message for message in owner.collect().sends if not isinstance(message, Sealed)]
    assert told == says
    assert not owner.volume.chats
    assert not owner.volume.messages
    owner.machine.receive(not_found(chat_id), NOW)
    owner.collect()
    assert owner.volume == AppVolume()


def not_found(chat_id: ChatId) -> ErrorNotice:
    return ErrorNotice(ErrorCode.CHAT_NOT_FOUND, ErrorScope.CHAT, chat_id, "", 0)


@pytest.mark.parametrize("connected", [True, False])
def test_an_end_that_the_home_has_not_confirmed_is_told_in_every_start_until_it_has(connected: bool) -> None:
    owner, _, chat_id = open_chat()
    if not connected:
        owner.machine.disconnected(NOW)
    delete = Delete(chat_id, proofs=owner.machine.chats[chat_id].end_to_end.prove_end())
    assert delete.proofs, "the other app believes no other"
    owner.machine.delete(chat_id, NOW)
    owner.collect()
    for _ in range(2):
        owner.crash()
        assert owner.machine.owes_farewells
        assert owner.connect() == [delete, delete]
    owner.machine.receive(Closed(chat_id, CloseReason.EXPIRED), NOW)
    assert owner.collect().sends == [ClosedAck(chat_id, CloseReason.EXPIRED), delete]
    owner.machine.receive(not_found(chat_id), NOW)
    owner.collect()
    assert owner.volume == AppVolume()
    owner.crash()
    assert not owner.machine.owes_farewells
    assert owner.connect() == []


def test_no_other_node_is_told_of_an_end_and_none_confirms_it() -> None:
    owner, _, chat_id = open_chat()
    owner.machine.delete(chat_id, NOW)
    owner.collect()
    owner.crash()
    owner.machine.connected(OTHER_HOME.node_id, OTHER_KEY.public_key, make_stream_keys(b"2" * 32, dialled=True), NOW)
    owner.machine.receive(not_found(chat_id), NOW)
    assert owner.collect().sends == []
    assert owner.machine.owes_farewells


def test_an_end_is_not_told_for_longer_than_a_home_keeps_an_idle_chat() -> None:
    owner, _, chat_id = open_chat()
    owner.machine.delete(chat_id, NOW)
    owner.collect()
    (record,) = (parse_app_ended(data) for data in owner.volume.ended.values())
    late = owner._make()
    late.restore_ended(record, record.ended_s + AppParams().idle_timeout_s + 1.0)
    assert not late.owes_farewells
    changes = late.take_output().changes
    assert changes is not None
    assert changes.told == {chat_id}


def test_a_chat_that_lacks_a_message_is_refused() -> None:
    owner, _, chat_id = open_chat()
    for _ in range(3):
        owner.machine.send(chat_id, b"x", NOW)
    owner.collect()
    del owner.volume.messages[chat_id, 2]
    with pytest.raises(KeystoreTamperedError):
        owner.crash()


def test_each_start_seals_with_a_nonce_of_its_own() -> None:
    """A store that was put back seals another message at the same position."""
    owner, _, chat_id = open_chat()
    frames = []
    for _ in range(2):
        owner.crash()
        chat = owner.machine.chats[chat_id]
        frames.append(OutgoingMessage(1, bytes(4)).build_frame(chat.end_to_end, chat._context.content_nonce, NOW))
    assert frames[0][:31] == frames[1][:31], "the same position"
    assert frames[0][31:39] != frames[1][31:39]


def test_without_a_store_nothing_is_handed_out_to_keep() -> None:
    machine = AppChats(identity=OWN_KEY, params=AppParams(), random=SeededRandom("memory"))
    machine.connected(NODE, HOME_KEY.public_key, make_stream_keys(b"1" * 32, dialled=True), NOW)
    machine.start_chat(PEER, NOW)
    assert machine.take_output().changes is None


_NONCE = bytes(4) + b"peer   1"


def _seq(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _pad(number: int) -> bytes:
    return pad(b"%d" % number, padding=True)


def _data(seq: int, frame: bytes) -> bytes:
    return encode_data(seq, frame)


def _deliver(owner: Owner, node: Node, frames: list[bytes], seqs: Iterable[int]) -> None:
    for seq in seqs:
        owner.machine.receive(node.far.seal_payload(_data(seq, frames[seq - 1])), NOW)
    owner.collect()


def move(owner: Owner) -> tuple[MoveOffer, AppOutput]:
    """The chat's home is given up for the node that the owner has reached now; what left with that, not kept yet."""
    owner.machine.connected(OTHER_HOME.node_id, OTHER_KEY.public_key, make_stream_keys(b"2" * 32, dialled=True), NOW)
    owner.machine.move(NOW)
    output = owner.collect(commit=False)
    (offer,) = (message for message in output.sends if isinstance(message, MoveOffer))
    return offer, output


def test_a_move_is_kept_before_it_leaves_and_the_next_start_counts_on_from_it() -> None:
    owner, _, chat_id = open_chat()
    first, output = move(owner)
    assert output.changes is not None
    assert output.changes.chats[chat_id].moves == KeptMoves(1, unproven=False, newest=first.move)
    assert output.changes.chats[chat_id].home == NODE, "until the new home has answered"
    owner.volume.commit(output.changes)
    owner.crash()
    again, _ = move(owner)
    assert (first.move.number, again.move.number) == (1, 2)
