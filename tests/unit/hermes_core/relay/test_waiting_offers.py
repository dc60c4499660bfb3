"""First offers that wait: what an app begins is its own count, what is offered to it is shared between those who offer."""

from __future__ import annotations

import itertools

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatFailed, ChatReady
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import DECISIONS_MS
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, derive_app_id
from hermes_core.protocol.messages import Closed, Offer, Reject
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.cure_line import Requester
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.waiting_offers import RETRY_LATER_MS, WaitingOffers
from tests.model.honest import HonestWorld
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys

LIMIT = 4
PARAMS = ChatParams(max_handshakes_per_app=LIMIT, handshake_refill_s=0.001)
TARGET = AppId("t" * 32)
_numbers = itertools.count(1)


def chat() -> ChatId:
    return ChatId(next(_numbers).to_bytes(16, "big"))


def app(name: str, node: str | None = None) -> Requester:
    return (None if node is None else NodeId(node), AppId(name * 32))


class Room(WaitingOffers):
    """Offers to one app, as the router makes room for them."""

    def __init__(self) -> None:
        super().__init__(LIMIT)
        self.makers: dict[ChatId, Requester] = {}

    def offer(self, maker: Requester) -> tuple[ChatId, ChatId | None]:
        """(its chat, the one that gave way to it)."""
        self.check(maker, TARGET)
        chat_id, gives_way = chat(), self.find_to_give_way(maker, TARGET)
        if gives_way is not None:
            self.remove(self.makers[gives_way], TARGET, gives_way)
        self.add(maker, TARGET, chat_id)
        self.makers[chat_id] = maker
        return chat_id, gives_way


def test_places_with_an_app_are_shared_between_those_who_offer() -> None:
    room = Room()
    first = [room.offer(app("a"))[0] for _ in range(LIMIT)]
    assert room.offer(app("b"))[1] == first[0]
    assert room.offer(app("b"))[1] == first[1]
    with pytest.raises(ProtocolError) as refused:
        room.offer(app("b"))
    assert (refused.value.code, refused.value.retry_after_ms) == (ErrorCode.LIMIT_EXCEEDED, RETRY_LATER_MS)
    assert len(room) == LIMIT


def test_names_that_a_node_makes_up_hold_one_share() -> None:
    room = Room()
    for name in "wxyz":
        room.offer(app(name, "liar"))
    assert room.offer(app("a"))[1] is not None
    assert room.offer(app("b", "another node"))[1] is not None
    assert len(room) == LIMIT


def refusals(world: HonestWorld) -> list[ErrorCode]:
    return [event.code for event in world.events_of(world.a, ChatFailed)]


@pytest.mark.parametrize("nodes", [1, 2])
def test_offers_to_an_app_do_not_keep_it_from_beginning_chats(nodes: int) -> None:
    """One app's offers, which waited for their owner's decision, were a lock-out of whoever only opens chats."""
    world = HonestWorld(nodes=nodes, params=PARAMS)
    for _ in range(LIMIT):
        world.start_chat(world.b)
    world.run(accept=False)
    assert len(world.a.offers) == LIMIT
    world.start_chat(world.a)
    world.run(accept=False)
    assert len(world.b.offers) == 1
    assert not refusals(world)
    world.run()
    assert len(world.events_of(world.a, ChatReady)) == LIMIT + 1
    for node in world.nodes.values():
        assert not len(node.running._admission.offers)


@pytest.mark.parametrize("nodes", [1, 2])
def test_who_is_refused_for_a_limit_learns_when_to_try_again(nodes: int) -> None:
    """Also where the other app refuses it, which as many wait for as it wants to decide on."""
    world = HonestWorld(nodes=nodes)
    for _ in range(AppParams().max_offers + 1):
        world.start_chat(world.a)
    world.run(accept=False)
    (failed,) = world.events_of(world.a, ChatFailed)
    assert (failed.code, failed.retry_after_ms) == (ErrorCode.HANDSHAKE_THROTTLED, DECISIONS_MS)


def test_a_node_that_names_an_app_of_ours_uses_up_nothing_of_it() -> None:
    world = HonestWorld(params=PARAMS)
    world.open_chat()
    template = next(message for message in world.messages("node-0", "node-1", Offer))
    accomplice = Identity.generate()
    neighbour = app_neighbour(derive_app_id(accomplice.public_key))
    keys = make_stream_keys(bytes(32), dialled=False)
    world.n.running.connected(neighbour, 999, accomplice.public_key, keys, world.now)
    link = world.m.running.link_of(world.neighbour("node-0"))
    assert link is not None
    for _ in range(LIMIT):
        chat_id = chat()
        half = world.m.running._context.build_channel(chat_id, link).start_offer(world.now)
        named = Offer(chat_id, world.a.identity.public_key, derive_app_id(accomplice.public_key), template.end_to_end, half)
        world.n.running.receive(world.neighbour("node-1"), named, world.now)
        assert any(isinstance(send.message, Offer) for send in world.n.running.take_output().sends)
    assert len(world.n.running._admission.offers) == LIMIT
    world.open_chat()
    assert not refusals(world)
    assert len(world.events_of(world.a, ChatReady)) == 2


def test_an_offer_that_gives_way_is_refused_on_both_sides() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    waiting = world.n.running._admission.offers
    for _ in range(LIMIT):
        world.start_chat(world.a)
    world.run(accept=False)
    assert len(world.b.offers) == LIMIT
    stranger = Identity.generate()
    neighbour = app_neighbour(derive_app_id(stranger.public_key))
    keys = make_stream_keys(bytes(32), dialled=False)
    link = world.n.running.connected(neighbour, 999, stranger.public_key, keys, world.now)
    template = world.messages("app-0", "node-0", Offer)[0]
    oldest = template.chat_id
    world.n.running.take_output()
    chat_id = chat()
    theirs = Channel(
        kind=ChannelKind.LEG,
        chat_id=chat_id,
        identity=stranger,
        local=link.party,
        peer=world.n.running._context.party,
        peer_public_key=world.n.running._context.identity.public_key,
        params=ChannelParams(),
        random=SeededRandom(3),
    )
    first = Offer(chat_id, stranger.public_key, world.b.app_id, template.end_to_end, theirs.start_offer(world.now))
    world.n.running.receive(neighbour, first, world.now)
    said = [(type(send.message), getattr(send.message, "chat_id", None)) for send in world.n.running.take_output().sends]
    assert said == [(Reject, oldest), (Closed, oldest), (Offer, chat_id)], "the oldest of who had most, at both its ends"
    assert len(waiting) == LIMIT
