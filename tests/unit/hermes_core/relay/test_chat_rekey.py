"""Rekeys: from either side, crossing, refused, throttled, required by the key's age; what happens to messages meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatFailed, ChatRekeyed
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChannelKind, ChatId
from hermes_core.protocol.messages import Answer, CloseReason, Confirm, ErrorNotice, Offer, Reject
from hermes_core.relay.events import ChannelRekeyed, HandshakeFailed, RekeyRequired
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld


def epochs(world: HonestWorld, chat_id: ChatId) -> list[int]:
    """End-to-end, then every hop from both of its ends; equal ends are given once."""
    first, second = (app.machine.chats[chat_id] for app in world.apps.values())
    assert first.end_to_end.epoch == second.end_to_end.epoch
    sides = [hop.channel.epoch for node in world.nodes.values() for hop in world.chat_of(node, chat_id).hops]
    ends = [first.leg.epoch, *sides, second.leg.epoch]
    assert ends[::2] == ends[1::2]
    return [first.end_to_end.epoch, *ends[::2]]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("initiator", ["app-0", "app-1"])
def test_every_channel_moves(nodes: int, initiator: str) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    assert epochs(world, chat_id) == [1] * (nodes + 2)
    world.rekey(world.apps[initiator], chat_id)
    world.run()
    assert epochs(world, chat_id) == [2] * (nodes + 2)
    for app in world.apps.values():
        assert world.events_of(app, ChatRekeyed) == [ChatRekeyed(chat_id, 2)]
    world.send(world.a, chat_id)
    world.send(world.b, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-0": 1, "app-1": 1}
    assert not any(hop.channel.pending_epoch for node in world.nodes.values() for hop in world.chat_of(node, chat_id).hops)
    assert {event.kind for event in world.events_of(world.m, ChannelRekeyed)} == {ChannelKind.LEG} | (
        {ChannelKind.TIELINE} if nodes == 2 else set()
    )


def test_messages_under_way_survive_a_rekey() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for round_number in range(6):
        for _ in range(5):
            world.send(world.a, chat_id)
            world.send(world.b, chat_id)
        world.rekey(world.apps[f"app-{round_number % 2}"], chat_id)
        for _ in range(round_number * 5):  # more messages in the middle of it
            if queues := world.queues():
                world.deliver(*queues[-1])
        world.send(world.a, chat_id)
        world.send(world.b, chat_id)
        world.run()
        world.now += 30
    assert epochs(world, chat_id)[0] == 7
    assert world.ledger.chats[chat_id].acked == {"app-0": 36, "app-1": 36}


@pytest.mark.parametrize("sender", ["app-0", "app-1"])
def test_what_was_lost_is_sealed_anew_under_the_new_epoch(sender: str) -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    app = world.apps[sender]
    for _ in range(3):
        world.send(app, chat_id)
    world.stream(sender, app.home).inbox[app.home].clear()
    world.rekey(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].acked == {sender: 3}
    receiver = next(other for other in world.apps.values() if other is not app)
    current = receiver.machine.chats[chat_id].end_to_end.epochs.current
    assert current is not None
    assert (current.number, current.recv_proven) == (2, 3)


def test_rekey_with_a_bad_hop_leaves_no_epoch_pending() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.stream("node-1", "app-1").inbox["app-1"]:
        world.deliver(*world.queues()[0])
    offer = world.stream("node-1", "app-1").inbox["app-1"].popleft()
    assert isinstance(offer, Offer)
    world.inject("node-1", "app-1", dataclasses.replace(offer, hop=dataclasses.replace(offer.hop, signature=bytes(64))))
    chat = world.b.machine.chats[chat_id]
    assert (chat.end_to_end.pending_epoch, chat.leg.pending_epoch) == (0, 0)
    world.run()
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.AUTH_FAILED]
    assert epochs(world, chat_id) == [1, 1, 1, 1]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_crossing_rekeys_end_in_the_lower_apps_epoch(nodes: int, seed: int) -> None:
    """Every interleaving of two rekeys ends in one epoch; when they really cross, the offer of the lower id stands."""
    world = HonestWorld(nodes=nodes, seed=seed)
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    world.rekey(world.b, chat_id)
    while queues := world.queues():
        world.deliver(*world.rng.choice(queues))
    world.run()
    assert epochs(world, chat_id) == [2] * (nodes + 2)
    lower = min(world.apps.values(), key=lambda app: app.app_id)
    higher = max(world.apps.values(), key=lambda app: app.app_id)
    assert world.messages(higher.name, higher.home, Answer), "the higher one answered"
    assert len(world.messages(lower.name, lower.home, Answer)) == (1 if lower is world.b else 0), "only to the first offer"
    assert not world.events_of(world.a, ChatFailed)
    world.send(world.a, chat_id)
    world.send(world.b, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].acked == {"app-0": 1, "app-1": 1}


def test_rekey_waits_for_the_path() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("node-0", "node-1")
    world.run()
    world.rekey(world.a, chat_id)
    world.run()
    assert epochs(world, chat_id)[0] == 1
    world.reconnect()
    assert epochs(world, chat_id) == [2, 2, 2, 2]


@pytest.mark.parametrize("stage", range(14))
@pytest.mark.parametrize("cut", [("app-0", "node-0"), ("node-0", "node-1"), ("app-1", "node-1")])
def test_stream_breaks_at_any_point_of_a_rekey(stage: int, cut: tuple[str, str]) -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.rekey(world.a, chat_id)
    for _ in range(stage):
        if queues := world.queues():
            world.deliver(*queues[0])
    world.cut(*cut)
    world.send(world.b, chat_id)
    world.reconnect()
    world.pass_time(60.0)
    assert epochs(world, chat_id)[0] == 2
    assert world.ledger.chats[chat_id].acked == {"app-0": 1, "app-1": 1}
    world.rekey(world.b, chat_id)
    world.run()
    assert epochs(world, chat_id)[0] == 3


def test_rejected_rekey_leaves_the_chat_as_it_was() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.stream("node-1", "app-1").inbox["app-1"]:
        world.deliver(*world.queues()[0])
    world.stream("node-1", "app-1").inbox["app-1"].clear()
    world.inject("app-1", "node-1", Reject(chat_id, ErrorCode.DRAINING))
    world.run()
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.DRAINING]
    assert epochs(world, chat_id) == [1, 1, 1, 1]
    for node in world.nodes.values():
        assert world.events_of(node, HandshakeFailed)[-1].rekey
        assert not any(hop.channel.offering or hop.channel.pending_epoch for hop in world.chat_of(node, chat_id).hops)
    world.rekey(world.a, chat_id)
    world.run()
    assert epochs(world, chat_id) == [2, 2, 2, 2]


def test_unanswered_rekey_times_out() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.stream("node-1", "app-1").inbox["app-1"]:
        world.deliver(*world.queues()[0])
    world.stream("node-1", "app-1").inbox["app-1"].clear()
    world.pass_time(31.0)
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.TARGET_OFFLINE]
    assert epochs(world, chat_id) == [1, 1, 1, 1]
    assert world.chat_of(world.n, chat_id).handshake.under_way is None


def test_rekeys_are_throttled_with_a_hint() -> None:
    world = HonestWorld(params=ChatParams(rekey_burst=2, rekey_refill_s=7.0))
    chat_id = world.open_chat()
    for _ in range(3):
        world.rekey(world.a, chat_id)
        world.run()
    notice = world.messages("node-0", "app-0", ErrorNotice)[-1]
    assert (notice.code, notice.chat_id, notice.retry_after_ms) == (ErrorCode.REKEY_THROTTLED, chat_id, 7000)
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.REKEY_THROTTLED]
    assert epochs(world, chat_id) == [3, 3, 3, 3]
    world.pass_time(7.0)
    world.rekey(world.a, chat_id)
    world.run()
    assert epochs(world, chat_id) == [4, 4, 4, 4]


def test_rekeys_of_an_app_are_throttled_over_all_its_chats() -> None:
    world = HonestWorld(params=ChatParams(rekey_burst=2, rekey_refill_s=1000.0, rekey_app_factor=2))
    chats = [world.open_chat() for _ in range(3)]
    for chat_id in chats:
        for _ in range(2):
            world.rekey(world.a, chat_id)
            world.run()
    assert [epochs(world, chat_id)[0] for chat_id in chats] == [3, 3, 1]
    assert world.messages("node-0", "app-0", ErrorNotice)[-1].code is ErrorCode.REKEY_THROTTLED


@pytest.mark.parametrize(
    "params",
    [ChatParams(max_key_lifetime_s=600.0, rekey_grace_s=60.0), ChatParams(max_key_messages=20, rekey_grace_s=60.0)],
    ids=["age", "messages"],
)
def test_required_rekey_is_made_by_itself(params: ChatParams) -> None:
    world = HonestWorld(params=params)
    chat_id = world.open_chat()
    for _ in range(20):
        world.send(world.a, chat_id)
        world.run()
    world.pass_time(700.0)
    assert world.events_of(world.n, RekeyRequired)[0] == RekeyRequired(chat_id)
    assert epochs(world, chat_id) == [2, 2, 2, 2]
    assert not world.events_of(world.a, ChatEnded)
    chat = world.chat_of(world.n, chat_id)
    assert chat.lifetime.rekey_deadline is None
    assert chat.lifetime.messages <= 1, "the message under way was sealed anew"


def test_chat_that_is_not_rekeyed_fails_closed() -> None:
    world = HonestWorld(params=ChatParams(max_key_lifetime_s=600.0, rekey_grace_s=60.0, rekey_refill_s=3600.0, rekey_burst=1))
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)  # uses up what the throttle allows
    world.run()
    world.pass_time(659.0)
    assert world.messages("node-0", "app-0", ErrorNotice)[0].code is ErrorCode.REKEY_REQUIRED
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 1}, "messages still flow in the grace"
    world.pass_time(2.0)
    for app in world.apps.values():
        assert [event.reason for event in world.events_of(app, ChatEnded)] == [CloseReason.RATCHET_FAILED]
    assert not world.n.store.records
    assert not world.m.store.records


def test_grace_begins_when_both_apps_are_there() -> None:
    world = HonestWorld(params=ChatParams(max_key_lifetime_s=600.0, rekey_grace_s=60.0))
    chat_id = world.open_chat()
    world.cut("app-1", "node-1")
    world.run()
    world.pass_time(5000.0)
    assert world.a.live() == [chat_id], "a chat that cannot be rekeyed is not ended for it"
    world.reconnect()
    assert epochs(world, chat_id)[0] == 2


def test_replayed_and_altered_rekeys_change_nothing() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    world.run()
    offer = world.messages("app-0", "node-0", Offer)[-1]
    confirm = world.messages("app-0", "node-0", Confirm)[-1]
    before = epochs(world, chat_id)
    for forged in (
        offer,
        dataclasses.replace(offer, hop=dataclasses.replace(offer.hop, epoch=3)),
        dataclasses.replace(offer, target=world.a.app_id),
        dataclasses.replace(offer, initiator_key=world.b.identity.public_key),
    ):
        world.inject("app-0", "node-0", forged)
        world.run()
        assert world.chat_of(world.n, chat_id).handshake.under_way is None
    world.inject("app-0", "node-0", dataclasses.replace(confirm, hop_confirm=bytes(32)))
    world.inject("app-0", "node-0", confirm)
    world.run()
    assert epochs(world, chat_id) == before
    world.send(world.a, chat_id)
    world.rekey(world.b, chat_id)
    world.run()
    assert epochs(world, chat_id)[0] == 3
    assert world.ledger.chats[chat_id].acked == {"app-0": 1}


def test_wrong_confirmation_does_not_cost_the_epoch() -> None:
    """An injected tag must not make the responder forget keys the initiator already uses."""
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.messages("node-0", "app-0", Answer)[1:]:
        world.deliver(*world.queues()[0])
    confirm = world.stream("app-0", "node-0").inbox["node-0"][0]
    assert isinstance(confirm, Confirm)
    world.inject("app-0", "node-0", dataclasses.replace(confirm, hop_confirm=bytes(32)))
    world.run()
    assert world.messages("node-0", "app-0", ErrorNotice)[-1].code is ErrorCode.KEY_MISMATCH
    assert epochs(world, chat_id) == [2, 2, 2, 2]


def test_confirmation_is_repeated_until_it_is_known_to_have_arrived() -> None:
    world = HonestWorld(app_params=AppParams(retransmit_s=1.0))
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.messages("node-0", "app-0", Answer)[1:]:
        world.deliver(*world.queues()[0])
    lost = world.stream("app-0", "node-0").inbox["node-0"]
    assert isinstance(lost[0], Confirm)
    world.adversary.acted = True
    lost.clear()
    world.run()
    world.send(world.b, chat_id)
    world.run()
    assert world.b.machine.chats[chat_id].end_to_end.epoch == 1
    world.pass_time(2.0)
    world.reconnect()  # frames of the new epoch were refused until the confirmation came, which is a gap
    assert epochs(world, chat_id) == [2, 2, 2, 2]
    assert world.a.machine.chats[chat_id].end_to_end.confirm_tag() is None
    before = len(world.messages("app-0", "node-0", Confirm))
    world.pass_time(100.0)
    assert len(world.messages("app-0", "node-0", Confirm)) == before


def test_grace_runs_while_both_apps_are_there_and_begins_anew() -> None:
    """An app that was away for most of the grace must not find its chat gone when it is back."""
    params = ChatParams(max_key_messages=16, rekey_grace_s=200.0, rekey_burst=1, rekey_refill_s=3600.0)
    world = HonestWorld(params=params)
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)  # the one rekey there is
    world.run()
    for _ in range(20):
        world.send(world.a, chat_id)
        world.run()
    assert world.chat_of(world.n, chat_id).lifetime.rekey_deadline is not None
    world.cut("app-0", "node-0")
    world.pass_time(190.0)
    assert world.chat_of(world.n, chat_id).lifetime.rekey_deadline is None
    world.reconnect()
    world.pass_time(190.0)
    assert chat_id in world.n.chats
    world.pass_time(20.0)
    assert chat_id not in world.n.chats


def test_a_rekey_that_gave_way_to_one_that_came_to_nothing_is_made_again() -> None:
    """Both apps offer; the answer that stands is held back for good."""
    world = HonestWorld(nodes=1)
    chat_id = world.open_chat()
    winner, other = sorted(world.apps.values(), key=lambda app: app.app_id)
    world.rekey(other, chat_id)
    world.rekey(winner, chat_id)
    world.step(winner.name, "node-0")
    world.step(other.name, "node-0")  # its offer is dropped
    world.step("node-0", other.name)
    answer = world.stream(other.name, "node-0").inbox["node-0"].pop()
    assert isinstance(answer, Answer)
    world.pass_time(300.0)
    assert [event.code for event in world.events_of(winner, ChatFailed)] == [ErrorCode.TARGET_OFFLINE]
    assert world.events_of(other, ChatRekeyed) == [ChatRekeyed(chat_id, 2)]
    assert epochs(world, chat_id) == [2, 2, 2]


def take_from_queue(world: HonestWorld, node: str, app: str, kind: type) -> Any:
    """Hold a message back that is on its way to an app."""
    queue = world.stream(node, app).inbox[app]
    held = next(message for message in queue if isinstance(message, kind))
    queue.remove(held)
    return held


@pytest.mark.parametrize("place", [0, 1])
def test_an_offer_that_was_held_back_does_not_cost_the_answer_to_the_next_one(place: int) -> None:
    """Somebody between node and app holds an offer back, then a confirmation, and delivers both later in this order."""
    world = HonestWorld(nodes=1)
    chat_id = world.open_chat()
    world.rekey(world.b, chat_id)
    world.step("app-1", "node-0")
    offer = take_from_queue(world, "node-0", "app-0", Offer)
    world.pass_time(60.0)
    world.rekey(world.b, chat_id)
    world.step("app-1", "node-0")
    world.step("node-0", "app-0")  # this offer passes
    world.step("app-0", "node-0")
    world.step("node-0", "app-1")
    world.step("app-1", "node-0")
    confirms = [take_from_queue(world, "node-0", "app-0", Confirm) for _ in range(2)]  # the hop's, and the app's
    for message in (*confirms[:place], offer, *confirms[place:]):
        world.inject("node-0", "app-0", message)
    world.run()
    assert epochs(world, chat_id) == [2, 2, 2]
    world.send(world.a, chat_id)
    world.send(world.b, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-0": 1, "app-1": 1}


def test_keys_of_unknown_age_are_renewed_once_both_apps_are_there() -> None:
    world = HonestWorld(nodes=1)
    chat_id = world.open_chat()
    world.kill(world.n)
    world.n.start(world.now, keys_in_doubt=True)
    world.reconnect()
    assert world.events_of(world.n, RekeyRequired) == [RekeyRequired(chat_id)]
    assert epochs(world, chat_id) == [2, 2, 2]
    world.pass_time(1000.0)
    assert len(world.events_of(world.n, RekeyRequired)) == 1
    assert not world.chat_of(world.n, chat_id).lifetime.keys_are_due(world.now)


def test_a_clock_in_doubt_ends_no_chat_that_nobody_can_rekey() -> None:
    world = HonestWorld(nodes=1, params=ChatParams(rekey_grace_s=60.0, rekey_refill_s=3600.0, rekey_burst=1))
    chat_id = world.open_chat()
    world.kill(world.n)
    chats = world.n.start(world.now, keys_in_doubt=True)
    for app in world.apps.values():
        with contextlib.suppress(ProtocolError):  # until nothing is left
            while True:
                chats._admission.charge_rekey((None, app.app_id), world.now)
    world.reconnect()
    world.pass_time(150.0)
    assert epochs(world, chat_id) == [1, 1, 1]
    assert world.a.live() == world.b.live() == [chat_id]
    world.pass_time(3600.0)
    assert epochs(world, chat_id) == [2, 2, 2]


def test_what_was_active_in_the_future_is_active_now() -> None:
    """After a run whose clock was ahead; its chats must not live on for as long as it was."""
    world = HonestWorld(nodes=1, params=ChatParams(idle_timeout_s=1000.0))
    chat_id = world.open_chat()
    world.kill(world.n)
    world.now -= 500_000.0
    world.n.store.last_seen_s = None  # as if others' clocks had said that it is this early
    world.n.start(world.now, keys_in_doubt=True)
    assert world.chat_of(world.n, chat_id).lifetime.idle_at == world.now + 1000.0
