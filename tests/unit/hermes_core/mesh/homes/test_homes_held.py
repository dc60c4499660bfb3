"""Where entries are: at three holders, at the new ones when members change, at as many as a node may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.homes.messages import EntryOvertaken, HoldEntries
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.ring import HashRing
from tests.support.homes_world import HomesWorld, app_of, id_of, identity_of, make_home_entry, with_times

APPS = [app_of(index) for index in range(40)]
STAMP = 5_000


def ring_of(world: HomesWorld, app: int) -> list[NodeId]:
    return list(HashRing(world.members).find(id_of(APPS[app]).encode(), 3))


def entries_of(world: HomesWorld, since: int = 0) -> Iterator[tuple[NodeId, NodeId, bytes]]:
    for sender, receiver, message in world.sent[since:]:
        if isinstance(message, HoldEntries):
            yield from ((sender, receiver, entry) for entry in message.entries)


def test_an_entry_is_at_the_three_holders_of_its_app_and_nowhere_else() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    for index, app in enumerate(APPS):
        wanted = [name for name in world.members if name in ring_of(world, index) and name != world[0].name]
        assert world.holders(app) == wanted
    assert world[0].homes.count_held() == 0


def test_a_node_holds_about_three_times_its_share() -> None:
    world = HomesWorld(10)
    for index in range(10):
        world.connect(index, [app_of(100 * (index + 1) + number) for number in range(30)], STAMP)
    held = [member.homes.count_held() for member in world.members.values()]
    assert 300 * 3 * 0.8 < sum(held) < 300 * 3, "the home is a holder of some of its own"
    assert max(held) < 2 * 3 * 30


def test_when_holders_change_the_new_ones_get_the_entry_and_the_others_nothing() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    before = [ring_of(world, index) for index in range(len(APPS))]
    sent = len(world.sent)
    world.kill(5)
    after = [ring_of(world, index) for index in range(len(APPS))]
    new = Counter(
        (holder, id_of(app)) for app, old, now in zip(APPS, before, after, strict=True) for holder in now if holder not in old
    )
    del_home = {pair: count for pair, count in new.items() if pair[0] != world[0].name}
    shown = Counter((receiver, make_id(entry)) for _, receiver, entry in entries_of(world, sent))
    assert shown == del_home
    assert shown, "some app had the one that went"


def make_id(entry: bytes) -> str:
    return next(id_of(app) for app in APPS if app.public_key == entry[:32])


def test_a_holder_that_began_anew_gets_what_it_held() -> None:
    world = HomesWorld(4)
    world.connect(0, APPS, STAMP)
    held = world[2].homes.count_held()
    world.restart(2)
    assert world[2].homes.count_held() == held > 0


def test_what_a_holder_never_heard_is_sent_until_it_says_that_it_did() -> None:
    world = HomesWorld(3)
    world.lose = lambda _sender, receiver, message: receiver == "node-1" and isinstance(message, HoldEntries)
    world.connect(0, APPS, STAMP)
    assert world[1].homes.count_held() == 0
    world.pass_time(world.params.resend_s + 1)
    world.lose = lambda *_: False
    world.pass_time(world.params.resend_s + 1)
    assert world[1].homes.count_held() == len(APPS)


def test_one_message_at_a_time_to_a_holder_that_says_nothing() -> None:
    world = HomesWorld(2)
    world.lose = lambda _sender, _receiver, message: isinstance(message, HoldEntries)
    world.connect(0, [app_of(index) for index in range(300)], STAMP)
    world.connect(0, [app_of(index) for index in range(300, 600)], STAMP)
    assert len(list(entries_of(world))) == world.params.entries_a_message


@pytest.mark.parametrize("lost", ["node-1", "node-2"])
def test_every_ten_minutes_an_entry_is_sent_again(lost: str) -> None:
    world = HomesWorld(3)
    world.connect(0, APPS[:1], STAMP)
    world.members[NodeId(lost)].homes = HomesWorld(3).members[NodeId(lost)].homes  # it forgot, and nobody noticed
    assert lost not in world.holders(APPS[0])
    world.pass_time(world.params.refresh_s - 1)
    assert lost not in world.holders(APPS[0])
    world.pass_time(2)
    assert world.holders(APPS[0]) == ["node-1", "node-2"]


def test_a_reconnect_at_the_same_home_changes_the_stamp_and_nothing_else() -> None:
    world = HomesWorld(3)
    world.connect(0, APPS[:1], STAMP)
    before = world.ask(NodeId("node-1"), APPS[0])
    world.connect(0, APPS[:1], STAMP + 1)
    after = world.ask(NodeId("node-1"), APPS[0])
    assert before is not None
    assert after is not None
    assert after.stamp == STAMP + 1
    assert after.presence == before.presence, "no word is signed anew"


def test_who_is_no_holder_any_more_forgets_who_is_does_not() -> None:
    world = HomesWorld(3, with_times(refresh_s=600, lapse_s=1800, kept_s=86_400))
    world.connect(0, APPS, STAMP)
    world.kill(0)
    world.pass_time(1801)
    assert world[1].homes.count_held() == len(APPS), "its home is gone, and it is still one of the three"
    world.pass_time(86_400)
    assert world[1].homes.count_held() == 0

    grown = HomesWorld(2)
    grown.connect(0, APPS, STAMP)
    assert grown[1].homes.count_held() == len(APPS)
    for number in range(2, 8):
        grown.members[NodeId(f"node-{number}")] = HomesWorld(8).members[NodeId(f"node-{number}")]
    grown.tell_members()
    grown.pass_time(grown.params.lapse_s + grown.params.refresh_s)
    assert grown[1].homes.count_held() == sum(grown[1].name in ring_of(grown, index) for index in range(len(APPS)))


def test_held_entries_are_bounded_and_shared_alike() -> None:
    """A member that names apps without end takes nobody's place but those that are more than its share."""
    world = HomesWorld(3, HomesParams(max_held=60))
    world.connect(0, APPS[:20], STAMP)
    world.connect(2, APPS[20:25], STAMP)
    holder, liar = world[1].homes, identity_of(99)
    for start in range(0, 400, 100):
        entries = tuple(make_home_entry(liar, "liar", app_of(1000 + start + n), STAMP).signed for n in range(100))
        holder.receive(NodeId("liar"), HoldEntries(1, liar.public_key, entries), world.now)
        holder.take_output()
        assert holder.count_held() == 60
    assert all(world.ask(world[1].name, app) is not None for app in APPS[:25])
    world.connect(2, [app_of(500 + index) for index in range(30)], STAMP)
    shown = [world.ask(world[1].name, app_of(500 + index)) for index in range(30)]
    assert len([entry for entry in shown if entry is not None]) >= 10, "who has fewer gets room"
    assert holder.count_held() == 60


def test_apps_that_are_gone_are_bounded_too() -> None:
    world = HomesWorld(2, HomesParams(max_gone=10))
    world.connect(0, APPS, STAMP)
    world.disconnect(0, APPS)
    assert sum(world.ask(world[0].name, app) is not None for app in APPS) == 10


def test_members_that_come_and_go_do_not_pile_up_what_is_to_be_sent() -> None:
    """A holder that is gone is sent nothing, and nothing waits for it."""
    world = HomesWorld(5)
    world.lose = lambda *_: True
    world.connect(0, APPS, STAMP)
    for index in range(4, 0, -1):
        world.kill(index)
    sent = len(world.sent)
    world.pass_time(60)
    assert len(world.sent) == sent


def test_a_liar_that_claims_an_app_changes_nothing() -> None:
    world = HomesWorld(4)
    world.connect(0, APPS[:1], STAMP)
    liar = world[3]
    forged = make_home_entry(
        liar.identity, "node-3", APPS[1], STAMP + 1
    ).signed  # of another app, and its key in place of that one's
    forged = APPS[0].public_key + forged[32:]
    for member in (world[0], world[1], world[2]):
        member.homes.receive(liar.name, HoldEntries(1, liar.identity.public_key, (forged,)), world.now)
    world.settle()
    assert world.place(3, APPS[0]) == ("node-0", True)
    assert world[0].overtaken == []
    assert not [message for _, _, message in world.sent if isinstance(message, EntryOvertaken)]
