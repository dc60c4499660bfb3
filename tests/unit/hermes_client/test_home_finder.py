"""Behind an address that leads to any node: where the home is, who may say so, and when it counts as out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hermes_client import Backoff, Chat, HermesClient
from hermes_client.addresses import AddressBook
from hermes_client.home_finder import UNREACHABLE_S, HomeFinder
from hermes_client.tls import PLAIN
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId, NodeId, derive_app_id, node_party
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import HomeFound, NodeDescriptor
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import Connect, NewerHome
from tests.support.balancer import Balancer
from tests.support.claims import make_claim
from tests.support.sessions import NodeEnd
from tests.unit.hermes_client.scripted_node import Link, ScriptedNode
from tests.unit.hermes_client.test_client_connection import DEADLINE_S, _client, _until

HOME_IDENTITY = Identity.generate()
HOME_ID, OTHER_ID = NodeId("node-0"), NodeId("node-1")
HOME = node_party(HOME_ID, HOME_IDENTITY.public_key)
GIVEN, OWN, NEWER = "lb.example:8443", "home.example:8443", "moved.example:8443"
PEER = derive_app_id(Identity.generate().public_key)


def describe(identity: Identity, node_id: NodeId, app_address: str, incarnation: int = 1) -> NodeDescriptor:
    return sign_descriptor(
        identity, node_id=node_id, address="a:1", incarnation=incarnation, version="", app_address=app_address
    )


def found(app_address: str = OWN, *, linked: bool = True, incarnation: int = 1) -> HomeFound:
    return HomeFound(describe(HOME_IDENTITY, HOME_ID, app_address, incarnation), linked)


def make_finder(*, direct: bool = True) -> tuple[HomeFinder, AddressBook]:
    book = AddressBook([GIVEN])
    book.record(GIVEN, OTHER_ID)
    return HomeFinder(book, direct=direct), book


def ways(book: AddressBook) -> list[str]:
    """A round of attempts."""
    book.connected()
    found = [book.choose(HOME_ID)]
    while not book.round_over:
        found.append(book.choose(HOME_ID))
    return found


def test_what_the_home_signed_leads_to_it() -> None:
    finder, book = make_finder()
    assert ways(book) == [GIVEN]
    assert not finder.take(found(), HOME, 0.0)
    assert ways(book) == [OWN, GIVEN]
    finder.take(found(NEWER, incarnation=2), HOME, 1.0)
    finder.take(found(OWN), HOME, 2.0)
    assert ways(book) == [NEWER, GIVEN], "an older word is none"
    book.record(GIVEN, HOME_ID)
    assert ways(book) == [GIVEN, NEWER], "the given address leads there itself"


@pytest.mark.parametrize(
    "told", ["127.0.0.1:22", "localhost:22", "[::1]:22", "169.254.169.254:80", "unix:/run/a", "2130706433:22"]
)
def test_no_home_leads_an_app_to_its_own_machine(told: str) -> None:
    finder, book = make_finder()
    finder.take(found(told), HOME, 0.0)
    assert ways(book) == [GIVEN]


def test_an_app_that_was_given_its_own_machine_is_led_there() -> None:
    book = AddressBook(["127.0.0.1:8443"])
    HomeFinder(book, direct=True).take(found("127.0.0.1:9443"), HOME, 0.0)
    assert ways(book) == ["127.0.0.1:9443", "127.0.0.1:8443"]


def test_a_liar_leads_to_no_other_node() -> None:
    liar = Identity.generate()
    finder, book = make_finder()
    real = describe(HOME_IDENTITY, HOME_ID, OWN)
    forged = NodeDescriptor(HOME_ID, HOME_IDENTITY.public_key, "a:1", 1, "", real.signature, NEWER)
    for lie in (describe(liar, HOME_ID, OWN), describe(HOME_IDENTITY, OTHER_ID, OWN), forged):
        with pytest.raises(ProtocolError) as caught:
            finder.take(HomeFound(lie, linked=True), HOME, 0.0)
        assert caught.value.code is ErrorCode.AUTH_FAILED
    assert not finder.take(HomeFound(None, linked=False), HOME, 0.0)
    assert ways(book) == [GIVEN]


@pytest.mark.parametrize("address", ["", "nonsense", "host:0", "a b:1"])
def test_what_is_no_address_is_not_dialled(address: str) -> None:
    finder, book = make_finder()
    finder.take(found(address), HOME, 0.0)
    assert ways(book) == [GIVEN]


def test_a_home_that_lives_and_is_never_reached_is_given_up() -> None:
    finder, _ = make_finder()
    assert not finder.take(found(), HOME, 0.0)
    finder.miss(1.0)
    finder.miss(2.0)
    assert not finder.take(found(), HOME, UNREACHABLE_S)
    assert not finder.take(found(linked=False), HOME, 1.0 + UNREACHABLE_S), "it is away"
    assert finder.take(found(), HOME, 1.0 + UNREACHABLE_S)
    finder.arrive(own=False, stayed=True)
    finder.take(found(), HOME, 100.0)
    finder.miss(101.0)
    assert finder.take(found(), HOME, 101.0), "from where this app is no such address is reached: it need not be learned again"


def test_a_home_that_was_reached_once_is_away_and_not_out_of_reach() -> None:
    finder, _ = make_finder()
    finder.arrive(own=True, stayed=False)
    finder.take(found(), HOME, 0.0)
    finder.miss(0.0)
    assert not finder.take(found(), HOME, 10 * UNREACHABLE_S)


def test_who_may_go_to_given_addresses_alone_stays_where_it_is_sent() -> None:
    finder, book = make_finder(direct=False)
    assert finder.take(found(), HOME, 0.0)
    assert ways(book) == [GIVEN]


def test_others_are_asked_now_and_then() -> None:
    finder, _ = make_finder()
    assert [finder.home_only(now, 3.0) for now in (10.0, 11.0, 12.9, 13.0, 14.0)] == [False, True, True, False, True]


@asynccontextmanager
async def _app_at_home(*, direct: bool = True) -> AsyncIterator[tuple[HermesClient, Balancer, ScriptedNode, ScriptedNode]]:
    """An app that has a chat and is at home on node-0, which it reached through a balancer; now that leads to node-1."""
    async with ScriptedNode("node-0") as home, ScriptedNode("node-1") as other:
        backends = [home.address]
        async with Balancer(lambda: backends) as balancer:
            client = HermesClient(
                balancer.address, tls=PLAIN, backoff=Backoff(0.01, 0.05), connect_timeout_s=DEADLINE_S, direct=direct
            )
            async with client:
                chat_id = ChatId(bytes(16))
                client.driver.chats[chat_id] = Chat(client.driver, chat_id, PEER)
                backends[:] = [other.address]
                yield client, balancer, home, other


def _tell(teller: ScriptedNode, home: ScriptedNode, address: str, *, linked: bool = True) -> None:
    teller.home_found = HomeFound(describe(home.identity, home.node_id, address), linked)


async def test_a_client_goes_to_the_address_of_its_home_that_another_node_tells() -> None:
    async with _app_at_home() as (client, balancer, home, other):
        _tell(other, home, home.address)
        for connects in (2, 3, 4):
            client.reconnect()
            await _until(lambda connects=connects: home.connects == connects and client.connected)  # type: ignore[misc]
        assert [seek.home for seek in other.sought] == [node_party(home.node_id, home.identity.public_key)]
        assert (other.connects, balancer.connections) == (0, 2), "once it knows the way it asks nobody"
        await home.stop()
        await _until(lambda: not client.connected)
        await home.start()
        await _until(lambda: client.connected)
        assert client.home == home.node_id


async def test_a_client_that_is_led_to_another_node_says_nothing_there() -> None:
    async with _app_at_home() as (client, _, home, other), ScriptedNode("node-0") as thief:
        _tell(other, home, thief.address)
        client.reconnect()
        await _until(lambda: thief.streams >= 2)
        assert (thief.connects, other.connects) == (0, 0)
        assert not client.connected


async def test_chats_move_to_the_node_that_is_reached_when_the_home_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_client.home_finder.UNREACHABLE_S", 0.3)
    async with _app_at_home() as (client, _, home, other):
        _tell(other, home, "127.0.0.1:1")
        client.reconnect()
        await _until(lambda: client.connections == 2)
        assert client.home == other.node_id
        assert len(other.sought) > 1


async def test_a_node_that_says_nothing_of_the_home_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_client.session.SEEK_TIMEOUT_S", 0.1)
    async with _app_at_home() as (client, _, _, other):
        dumb = NodeEnd(other.node_id, other.identity)

        async def say_nothing(link: Link) -> None:
            await link.write(dumb.challenge)
            await link.hold()

        other.opening = say_nothing
        client.reconnect()
        began_at = asyncio.get_running_loop().time()
        await _until(lambda: other.streams >= 4)
        assert asyncio.get_running_loop().time() - began_at < 4.0
        assert not client.connected


async def test_without_direct_only_the_given_addresses_are_dialled() -> None:
    async with _app_at_home(direct=False) as (client, _, home, other):
        _tell(other, home, home.address)
        client.reconnect()
        await _until(lambda: client.connections == 2)
        assert (client.home, home.connects) == (other.node_id, 1)


@pytest.mark.parametrize("whose", ["own", "another", "forged"])
async def test_a_stamp_of_its_own_that_a_node_shows_is_gone_above(whose: str) -> None:
    """Of an earlier process, say, whose clock was ahead. What the app never signed is a hint like any other."""
    identity, ahead = Identity.generate(), 2**41
    stamps: list[int] = []

    async def refuse(link: Link) -> None:
        end = NodeEnd(node.node_id, node.identity)
        await link.write(end.challenge)
        (connect,) = await link.read()
        assert isinstance(connect, Connect)
        stamps.append(connect.stamp)
        if len(stamps) == 2:
            node.opening = None  # at once: who hears of the refusal hangs up, and this ends wherever it is
        signer = Identity.generate() if whose == "another" else identity
        claim = make_claim(signer, HOME, connect.stamp + 1000)
        home = node_party(OTHER_ID, HOME_IDENTITY.public_key) if whose == "forged" else HOME
        await link.write(NewerHome(home, claim))
        await link.write(ErrorNotice(ErrorCode.STAMP_OUTDATED, ErrorScope.STREAM, None, "", 0))
        await link.hold()

    async with ScriptedNode("node-0", opening=refuse) as node, _client(node, identity=identity) as client:
        assert client.connected
    assert stamps[0] < ahead
    assert (stamps[1] > stamps[0] + 1000) is (whose == "own")
