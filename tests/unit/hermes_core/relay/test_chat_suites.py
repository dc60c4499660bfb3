"""Suites over the whole path: what each channel of a chat uses, and that two ends that cannot agree say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.crypto.suites import Suite
from hermes_core.endpoint.events import ChatEnded, ChatFailed
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Answer, Offer, Reject
from hermes_core.ratchet import negotiation
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.events import HandshakeFailed
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld

PLAIN = Suite.X25519_SHA256
HYBRID = Suite.X25519_MLKEM768_SHA256
HYBRID_512 = Suite.X25519_MLKEM768_SHA512


def suites_of(world: HonestWorld, chat_id: ChatId) -> tuple[set[Suite | None], set[Suite | None]]:
    """Of both ends of the end-to-end channel, and of all ends of all hops."""
    apps = [app.machine.chats[chat_id] for app in world.apps.values()]
    hops = {hop.channel.suite for node in world.nodes.values() for hop in world.chat_of(node, chat_id).hops}
    return {chat.end_to_end.suite for chat in apps}, hops | {chat.leg.suite for chat in apps}


def set_suites(world: HonestWorld, *, apps: tuple[Suite, ...] = (), legs: tuple[Suite, ...] = ()) -> None:
    """For the chats that app-1 begins or answers from now on."""
    context = world.b.machine._context
    params = replace(
        context.params,
        end_to_end=replace(context.params.end_to_end, suites=apps),
        leg=replace(context.params.leg, suites=legs),
    )
    world.b.machine._context = replace(context, params=params)


@pytest.mark.parametrize("nodes", [1, 2])
def test_by_default_content_is_hybrid_and_no_hop_is_also_after_a_rekey(nodes: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    assert suites_of(world, chat_id) == ({HYBRID}, {PLAIN})
    world.rekey(world.a, chat_id)
    world.run()
    assert world.chat_of(world.n, chat_id).hops[0].channel.epoch == 2
    assert suites_of(world, chat_id) == ({HYBRID}, {PLAIN})
    for sender, _, message in world.seen:
        if isinstance(message, Offer | Answer):
            assert message.hop.kem == b"", f"{sender} pays for a key that hops have no use for"
            assert len(message.end_to_end.kem) == (1184 if isinstance(message, Offer) else 1088)


@pytest.mark.parametrize("nodes", [1, 2])
def test_hops_are_hybrid_where_that_is_set_and_stay_so_over_a_restart_with_less(nodes: int) -> None:
    hybrid = ChannelParams(suites=(HYBRID_512, PLAIN))
    world = HonestWorld(nodes=nodes, params=ChatParams(channel=hybrid), app_params=AppParams(leg=hybrid))
    chat_id = world.open_chat()
    assert suites_of(world, chat_id) == ({HYBRID}, {HYBRID_512})
    world.n.params = replace(world.n.params, channel=ChannelParams(suites=(PLAIN,)))
    world.kill(world.n)
    world.revive(world.n)
    world.rekey(world.b, chat_id)
    world.run()
    assert suites_of(world, chat_id) == ({HYBRID}, {HYBRID_512})
    assert world.chat_of(world.n, chat_id).hops[0].channel.epoch == 2
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 1}


def test_a_hop_that_begins_anew_goes_not_below_what_it_used_over_a_restart_with_less() -> None:
    hybrid = ChannelParams(suites=(HYBRID_512, PLAIN))
    world = HonestWorld(params=ChatParams(channel=hybrid), app_params=AppParams(leg=hybrid))
    chat_id = world.open_chat()
    old = world.n.store.copy()
    world.rekey(world.a, chat_id)
    world.run()
    world.kill(world.n)
    world.n.store = old
    world.n.start(world.now)
    world.connect_nodes()
    world.run()
    for node in world.nodes.values():
        assert [hop.channel.epoch for hop in world.chat_of(node, chat_id).hops if not hop.is_leg] == [0], "it begins anew"
        node.params = replace(node.params, channel=ChannelParams(suites=(PLAIN,)))
        world.kill(node)
    for node in world.nodes.values():
        world.revive(node)
    world.pass_time(60.0)
    assert {world.chat_of(node, chat_id).state for node in world.nodes.values()} == {ChatState.ACTIVE}
    assert suites_of(world, chat_id) == ({HYBRID}, {HYBRID_512})


def test_two_apps_without_a_suite_in_common_hear_it() -> None:
    world = HonestWorld(app_params=AppParams(end_to_end=ChannelParams(suites=(HYBRID,))))
    set_suites(world, apps=(PLAIN,))
    chat_id = world.start_chat(world.a)
    world.run()
    assert [message.code for message in world.messages("app-1", "node-1", Reject)] == [ErrorCode.UNSUPPORTED]
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.UNSUPPORTED]
    assert [event.chat_id for event in world.events_of(world.a, ChatEnded)] == [chat_id]
    assert not any(node.chats for node in world.nodes.values())


def test_an_app_whose_leg_its_home_does_not_allow_hears_it() -> None:
    world = HonestWorld(params=ChatParams(channel=ChannelParams(suites=(HYBRID,))))
    world.start_chat(world.a)
    world.run()
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.UNSUPPORTED]
    assert not any(node.chats for node in world.nodes.values())


def test_a_rekey_below_what_the_chat_uses_changes_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that was taken back to before it knew of suites, say: its own signature asks for less."""
    world = HonestWorld()
    chat_id = world.open_chat()
    with monkeypatch.context() as patch:
        patch.setattr(negotiation, "allow_suites", lambda *_: (PLAIN,))
        world.rekey(world.b, chat_id)
    world.run()
    assert [event.code for event in world.events_of(world.b, ChatFailed)] == [ErrorCode.UNSUPPORTED]
    assert {event.code for event in world.events_of(world.m, HandshakeFailed)} == {ErrorCode.UNSUPPORTED}
    assert suites_of(world, chat_id) == ({HYBRID}, {PLAIN})
    assert world.chat_of(world.n, chat_id).standing.state is ChatState.ACTIVE
    world.send(world.a, chat_id)
    world.send(world.b, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-0": 1, "app-1": 1}


def test_a_node_passes_on_end_to_end_suites_that_it_does_not_know() -> None:
    """Whether they are any good is for the two apps."""
    world = HonestWorld()
    world.start_chat(world.a)
    stream = world.stream("app-0", "node-0")
    offer = stream.inbox["node-0"].popleft()
    assert isinstance(offer, Offer)
    changed: KeyStatement = replace(offer.end_to_end, suites=bytes([200, 201]))
    stream.inbox["node-0"].appendleft(replace(offer, end_to_end=changed))
    world.adversary.acted = True
    world.run()
    (passed,) = world.messages("node-1", "app-1", Offer)
    assert passed.end_to_end == changed
    assert [event.code for event in world.events_of(world.a, ChatFailed)] == [ErrorCode.AUTH_FAILED]
