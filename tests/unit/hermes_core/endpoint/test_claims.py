"""Apps that come back with their store, or with an older copy of it, through real nodes: claims tell them where they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.claims import PeerClaims
from hermes_core.endpoint.events import ChatEnded, ChatRekeyed, FrameRefused, Missing, PeerHeard, StoresDiffer
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason, Sealed
from hermes_core.protocol.payload import encode_claim
from hermes_core.ratchet.chat_claim import CLAIM_NONCE_BYTES, MessageCursor
from tests.model.honest import HonestWorld
from tests.model.parties import AppParty
from tests.support.app_volume import AppVolume

NONE_SENT = Missing(1, 0)


def open_world(nodes: int = 2) -> tuple[HonestWorld, ChatId]:
    world = HonestWorld(nodes=nodes, durable_apps=True)
    return world, world.open_chat()


def say(world: HonestWorld, chat_id: ChatId, count: int = 3, *, run: bool = True) -> None:
    """Both say so many messages, which arrive and are taken."""
    for _ in range(count):
        world.send(world.a, chat_id)
        world.send(world.b, chat_id)
    if run:
        world.run()


def sent(world: HonestWorld, chat_id: ChatId) -> list[int]:
    return [len(world.ledger.chats[chat_id].sent.get(app.name, [])) for app in (world.a, world.b)]


def check_all_arrived(world: HonestWorld, chat_id: ChatId) -> None:
    first, second = sent(world, chat_id)
    assert world.ledger.chats[chat_id].received == {"app-0": second, "app-1": first}


def come_back(world: HonestWorld, app: AppParty, volume: AppVolume | None = None) -> None:
    world.restart_app(app, volume)
    world.reconnect()


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("who", ["a", "b", "both"])
def test_chats_go_on_after_a_start_with_the_store_and_nobody_is_told_of_a_loss(nodes: int, who: str) -> None:
    world, chat_id = open_world(nodes)
    say(world, chat_id)
    for _ in range(3):
        say(world, chat_id, run=False)
        for app in (world.a, world.b):
            if who in (app.name[-1:].replace("0", "a").replace("1", "b"), "both"):
                world.restart_app(app)
        world.reconnect()
        say(world, chat_id)
        check_all_arrived(world, chat_id)
    for app in (world.a, world.b):
        assert world.events_of(app, StoresDiffer) == []
        assert world.events_of(app, ChatEnded) == []
        assert world.events_of(app, ChatRekeyed) == [], "a start with its store needs no new keys"


def test_nothing_new_is_sent_before_the_other_app_has_said_where_it_stands() -> None:
    world, chat_id = open_world()
    say(world, chat_id)
    world.restart_app(world.a)
    with pytest.raises(ProtocolError) as refused:
        world.a.machine.send(chat_id, b"new", world.now)
    assert refused.value.code is ErrorCode.BACKPRESSURE
    world.reconnect()
    assert world.events_of(world.a, PeerHeard) == [PeerHeard(chat_id)]
    assert world.events_of(world.b, PeerHeard) == [], "it has sent new messages all the time"
    say(world, chat_id)
    check_all_arrived(world, chat_id)


@pytest.mark.parametrize("victim", ["a", "b"])
def test_a_store_that_was_put_back_is_found_named_and_goes_on_after_a_rekey(victim: str) -> None:
    world, chat_id = open_world()
    app, other = (world.a, world.b) if victim == "a" else (world.b, world.a)
    say(world, chat_id, 3)
    assert app.volume is not None
    older = app.volume.copy()
    say(world, chat_id, 4)  # forgotten: messages 4 to 7 of both
    come_back(world, app, older)
    world.pass_time(60)
    assert world.events_of(app, StoresDiffer) == [StoresDiffer(chat_id, True, Missing(4, 7), Missing(4, 7))]
    assert world.events_of(other, StoresDiffer) == [StoresDiffer(chat_id, False, Missing(4, 7), Missing(4, 7))]
    assert world.events_of(app, ChatRekeyed), "new keys come first"
    say(world, chat_id)
    check_all_arrived(world, chat_id)
    assert sent(world, chat_id) == [10, 10], "seq goes on after the ones that the other app has had"


def test_a_store_put_back_that_misses_only_what_it_took() -> None:
    world, chat_id = open_world()
    assert world.a.volume is not None
    older = world.a.volume.copy()
    for _ in range(5):
        world.send(world.b, chat_id)
    world.run()
    come_back(world, world.a, older)
    world.pass_time(60)
    assert world.events_of(world.a, StoresDiffer) == [StoresDiffer(chat_id, True, NONE_SENT, Missing(1, 5))]
    say(world, chat_id)
    check_all_arrived(world, chat_id)


def test_messages_that_nobody_had_are_sent_by_a_store_put_back_before_new_ones() -> None:
    world, chat_id = open_world()
    say(world, chat_id, 2)
    world.cut("app-1", "node-1")
    for _ in range(3):
        world.send(world.a, chat_id)
    world.run()
    assert world.a.volume is not None
    older = world.a.volume.copy()
    come_back(world, world.a, older)
    world.pass_time(60)
    assert world.events_of(world.a, StoresDiffer) == []
    say(world, chat_id)
    check_all_arrived(world, chat_id)


def test_both_stores_put_back_to_different_times_go_on() -> None:
    world, chat_id = open_world()
    assert world.a.volume is not None
    assert world.b.volume is not None
    say(world, chat_id, 2)
    older_a = world.a.volume.copy()
    say(world, chat_id, 2)
    older_b = world.b.volume.copy()
    say(world, chat_id, 2)
    world.restart_app(world.b, older_b)
    world.restart_app(world.a, older_a)
    world.reconnect()
    world.pass_time(120)
    assert [event.ours for event in world.events_of(world.a, StoresDiffer)] == [True]
    cursors = [(chat.transfer.outgoing.last_seq, chat.transfer.incoming.delivered) for chat in chats_of(world, chat_id)]
    assert cursors == [(4, 4), (4, 4)]
    assert all(not chat.transfer.claims.blocked for chat in chats_of(world, chat_id))


def chats_of(world: HonestWorld, chat_id: ChatId) -> list[AppChat]:
    return [app.machine.chats[chat_id] for app in (world.a, world.b)]


def test_without_a_common_epoch_the_chat_ends_at_both_and_says_that_state_was_lost() -> None:
    world, chat_id = open_world()
    say(world, chat_id)
    assert world.a.volume is not None
    older = world.a.volume.copy()
    for _ in range(2):
        world.rekey(world.a, chat_id)
        world.run()
    world.pass_time(40)
    come_back(world, world.a, older)
    world.pass_time(1500)
    for app in (world.a, world.b):
        assert [event.reason for event in world.events_of(app, ChatEnded)] == [CloseReason.STATE_LOST]
    assert world.a.volume == AppVolume()


def test_a_claim_is_believed_under_its_key_and_nonce_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world, chat_id = open_world()
    say(world, chat_id)
    with monkeypatch.context() as silence:
        silence.setattr(PeerClaims, "answer", lambda *_: False)
        come_back(world, world.a)
    first, second = chats_of(world, chat_id)
    claims = first.transfer.claims
    (claim,) = second.end_to_end.chat_claims(claims._nonce, MessageCursor(99, 99, 50))
    other_nonce = replace(claim, nonce=bytes(CLAIM_NONCE_BYTES))
    bad_tag = replace(claim, tag=bytes(32))
    moved = replace(claim, cursor=MessageCursor(7, 99, 3))
    for forged in (other_nonce, bad_tag, moved):
        world.inject("node-0", "app-0", _seal_as_node(world, chat_id, encode_claim(forged)))
        assert claims.blocked
        assert first.transfer.outgoing.last_seq == 3
    refusals = [event.code for event in world.events_of(world.a, FrameRefused)]
    assert refusals.count(ErrorCode.AUTH_FAILED) == 2
    world.pass_time(10)
    assert not claims.blocked, "an ask that nobody answered is made again"
    assert world.events_of(world.a, StoresDiffer) == []
    world.inject("node-0", "app-0", _seal_as_node(world, chat_id, encode_claim(claim)))
    assert world.events_of(world.a, StoresDiffer) == [], "the nonce serves once"


def test_a_claim_that_comes_late_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds a claim back, and lets later messages pass, makes nobody believe that a store was put back."""
    world, chat_id = open_world()
    say(world, chat_id)
    late: list[bytes] = []

    def hold_back(claims: PeerClaims, nonce: bytes, cursor: MessageCursor, now: float) -> bool:
        late.extend(map(encode_claim, claims._channels.end_to_end.chat_claims(nonce, cursor)))
        return False

    with monkeypatch.context() as holding:
        holding.setattr(PeerClaims, "answer", hold_back)
        come_back(world, world.a)
    for _ in range(3):
        world.send(world.b, chat_id)
    world.run()
    world.inject("node-0", "app-0", _seal_as_node(world, chat_id, late[0]))
    world.run()
    assert not chats_of(world, chat_id)[0].transfer.claims.blocked
    assert world.events_of(world.a, StoresDiffer) == []
    say(world, chat_id)
    check_all_arrived(world, chat_id)


def _seal_as_node(world: HonestWorld, chat_id: ChatId, payload: bytes) -> Sealed:
    hop = world.chat_of(world.n, chat_id).hops[0]
    nonce = world.a.machine.chats[chat_id].hop.home.receive_nonce
    return Sealed(hop.channel.seal(payload, world.now, nonce=nonce))


def test_a_chat_of_this_start_asks_nothing() -> None:
    world, chat_id = open_world()
    assert not world.a.machine.chats[chat_id].transfer.claims.awaited
    assert world.events_of(world.a, PeerHeard) == []
