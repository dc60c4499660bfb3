"""The directory: an app's highest stamp gives its home, that node's word says whether it is there; away is not unknown."""

from __future__ import annotations

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId, Party, derive_app_id, node_party
from hermes_core.limits import DIRECTORY_TTL_S, STAMP_AHEAD_S
from hermes_core.relay import directory as module
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.directory import ANSWERED_S, FRESH_S, SETTLES_S, Directory
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.rows import ChatIndex
from tests.support.claims import make_claim
from tests.support.sessions import make_stream_keys

HERE, THERE, FAR = (node_party(NodeId(name), Identity.generate().public_key) for name in ("node-0", "node-1", "node-2"))
HERE_ID, THERE_ID, FAR_ID = NodeId("node-0"), NodeId("node-1"), NodeId("node-2")
IDENTITIES = [Identity.generate() for _ in range(3)]
APP, ASKING, OTHER = (derive_app_id(identity.public_key) for identity in IDENTITIES)
NOW = 1_800_000_000.0
NOW_MS = int(NOW * 1000)


class Desk(Directory):
    """A node to which these are connected."""

    def __init__(self, *neighbours: Neighbour) -> None:
        keys = make_stream_keys(bytes(32), dialled=True)
        self.links = {neighbour: Link(neighbour, 1, bytes(32), keys, 0.0) for neighbour in neighbours}
        self.calendar = Calendar()
        super().__init__(HERE_ID, HERE, self.links, ChatIndex(), self.calendar)

    def come(self, app: Identity, stamp: int) -> None:
        """It connects here."""
        neighbour = app_neighbour(derive_app_id(app.public_key))
        self.links[neighbour] = Link(neighbour, 2, app.public_key, make_stream_keys(bytes(32), dialled=True), 0.0)
        self.note_here(derive_app_id(app.public_key), make_claim(app, HERE, stamp))

    def go(self, app: Identity) -> None:
        app_id = derive_app_id(app.public_key)
        del self.links[app_neighbour(app_id)]
        self.note_away(app_id)

    def hear(self, home: str, app: Identity, stamp: int = NOW_MS, *, online: bool = True) -> bool:
        """A look-up finds it there."""
        party = node_party_of(home)
        return self.learn(party, make_claim(app, party, stamp), NOW, online=online)


def node_party_of(name: str) -> Party:
    return {"node-0": HERE, "node-1": THERE, "node-2": FAR}[name]


def refusal(directory: Directory, target: AppId, source: Neighbour | None = None) -> ErrorCode:
    with pytest.raises(ProtocolError) as raised:
        directory.find_route(source or app_neighbour(ASKING), target)
    return raised.value.code


def test_never_heard_of() -> None:
    directory = Desk()
    assert refusal(directory, APP) is ErrorCode.TARGET_NOT_FOUND
    assert (directory.locate(APP), directory.last_home(APP)) == (None, None)


def test_gone_from_here() -> None:
    directory = Desk()
    directory.come(IDENTITIES[0], 5)
    directory.go(IDENTITIES[0])
    assert refusal(directory, APP) is ErrorCode.TARGET_OFFLINE
    assert (directory.locate(APP), directory.last_home(APP)) == (None, HERE_ID)


def test_gone_from_another_node_or_with_it() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0])
    directory.hear("node-1", IDENTITIES[2])
    directory.hear("node-1", IDENTITIES[0], online=False)
    assert refusal(directory, APP) is ErrorCode.TARGET_OFFLINE
    assert directory.last_home(APP) == THERE_ID
    assert directory.locate(OTHER) == THERE_ID
    directory.lose_node(THERE_ID)
    assert refusal(directory, OTHER) is ErrorCode.TARGET_OFFLINE
    assert directory.last_home(OTHER) == THERE_ID


def test_a_node_that_says_that_it_is_not_there_is_believed_of_itself_alone() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0])
    directory.note_answered(APP, NOW)
    directory.note_absent(APP, FAR_ID)
    assert directory.is_found(APP, NOW)
    directory.note_absent(APP, THERE_ID)
    assert not directory.is_found(APP, NOW), "it is asked for again"
    assert directory.last_home(APP) == THERE_ID


def test_what_was_found_counts_for_half_a_minute() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0])
    assert not directory.is_found(APP, NOW), "no look-up has ended"
    directory.note_answered(APP, NOW)
    assert directory.is_found(APP, NOW + FRESH_S - 1)
    assert not directory.is_found(APP, NOW + FRESH_S)
    assert directory.locate(APP) == THERE_ID, "for whoever has nothing better"


def test_who_asks_where_an_app_is_gets_no_old_answer() -> None:
    """An app that came up elsewhere, while its old machine stood still, was found at its former home for half a minute."""
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0])
    directory.note_answered(APP, NOW)
    assert directory.is_found(APP, NOW + ANSWERED_S - 0.1, ANSWERED_S)
    assert not directory.is_found(APP, NOW + ANSWERED_S, ANSWERED_S)
    assert directory.is_found(APP, NOW + ANSWERED_S), "for an offer"


def test_what_nobody_knew_is_asked_again_once_a_node_has_come_and_its_entries_have_settled() -> None:
    """A home that lost its volume is alone for a while, and looks for the other apps of its chats in vain."""
    directory = Desk()
    directory.note_answered(APP, NOW)
    assert directory.was_asked(APP, NOW + 1)
    directory.note_joined(NOW + 2)
    assert not directory.was_asked(APP, NOW + 2)
    directory.note_answered(APP, NOW + 2.1)
    assert directory.was_asked(APP, NOW + 2.2), "not at every try meanwhile"
    assert not directory.was_asked(APP, NOW + 2 + SETTLES_S)
    directory.note_answered(APP, NOW + 2 + SETTLES_S)
    assert directory.was_asked(APP, NOW + FRESH_S)
    directory.hear("node-1", IDENTITIES[0])
    directory.note_joined(NOW + FRESH_S)
    assert directory.was_asked(APP, NOW + FRESH_S), "what was found counts as before"


def test_there_and_no_way_to_its_node() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0])
    assert refusal(directory, APP) is ErrorCode.ROUTE_UNAVAILABLE
    assert directory.locate(APP) == THERE_ID
    assert Desk(node_neighbour(THERE_ID)).last_home(APP) is None


def test_back_again() -> None:
    directory = Desk()
    directory.come(IDENTITIES[0], 5)
    directory.go(IDENTITIES[0])
    directory.come(IDENTITIES[0], 6)
    assert directory.locate(APP) == HERE_ID
    assert directory.find_route(app_neighbour(ASKING), APP).neighbour == app_neighbour(APP)


def test_what_another_node_sends_here_is_for_an_app_that_the_mesh_has_heard_of() -> None:
    assert refusal(Desk(), APP, node_neighbour(THERE_ID)) is ErrorCode.TARGET_OFFLINE


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    directory = Desk()
    for stamp, app in enumerate((0, 1, 0, 2)):  # the one that went first, though it had come twice, is not the oldest
        directory.come(IDENTITIES[app], stamp)
        directory.go(IDENTITIES[app])
    assert [directory.last_home(app_id) for app_id in (APP, ASKING, OTHER)] == [HERE_ID, None, HERE_ID]


# which of several homes


@pytest.mark.parametrize("order", [("node-1", "node-2"), ("node-2", "node-1")])
def test_the_highest_stamp_is_the_home_whoever_is_heard_last(order: tuple[str, str]) -> None:
    stamps = {"node-1": NOW_MS, "node-2": NOW_MS + 1}
    directory = Desk()
    for name in (*order, *order):
        directory.hear(name, IDENTITIES[0], stamp=stamps[name])
    assert directory.locate(APP) == FAR_ID
    directory.hear("node-2", IDENTITIES[0], NOW_MS + 1, online=False)
    directory.hear("node-1", IDENTITIES[0])
    assert directory.locate(APP) is None, "the node with the lower stamp says online, and is not the home"
    assert refusal(directory, APP) is ErrorCode.TARGET_OFFLINE
    assert directory.last_home(APP) == FAR_ID


def test_of_equal_stamps_the_lower_node_counts() -> None:
    directory = Desk()
    directory.hear("node-2", IDENTITIES[0])
    directory.hear("node-1", IDENTITIES[0])
    assert directory.locate(APP) == THERE_ID


def test_a_session_ends_when_its_app_has_gone_elsewhere_since() -> None:
    directory = Desk()
    directory.come(IDENTITIES[0], NOW_MS)
    directory.come(IDENTITIES[1], NOW_MS + 5)
    assert directory.hear("node-1", IDENTITIES[0], NOW_MS + 1)
    assert not directory.hear("node-1", IDENTITIES[1], NOW_MS + 1)
    assert not directory.hear("node-1", IDENTITIES[2], NOW_MS + 1)


def test_that_an_app_is_here_is_not_told_to_this_node() -> None:
    """What its own entry says from before it went, or before this node began anew."""
    directory = Desk()
    directory.hear("node-0", IDENTITIES[0])
    assert (directory.locate(APP), directory.last_home(APP)) == (None, HERE_ID)


# stamps


def test_a_connect_that_was_overtaken_is_refused_with_what_overtook_it() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0], stamp=NOW_MS)
    for stamp in (NOW_MS - 1, NOW_MS):
        newer = directory.judge(APP, stamp, NOW)
        assert newer is not None
        assert (newer.party, newer.claim.stamp) == (THERE, NOW_MS)
    assert directory.judge(APP, NOW_MS + 1, NOW) is None
    directory.hear("node-1", IDENTITIES[0], online=False)
    assert directory.judge(APP, NOW_MS, NOW) is not None, "it has gone, and its stamp is remembered"
    directory.come(IDENTITIES[1], NOW_MS)
    assert directory.judge(ASKING, NOW_MS, NOW) is not None, "also one of this node's own"


@pytest.mark.parametrize("stamp", [NOW_MS + STAMP_AHEAD_S * 1000 + 1, NOW_MS - DIRECTORY_TTL_S * 1000 - 1])
def test_a_stamp_that_is_out_of_time_counts_for_nobody_unless_the_clock_is_in_doubt(stamp: int) -> None:
    inside = stamp - 1 if stamp > NOW_MS else stamp + 1
    directory = Desk()
    with pytest.raises(ProtocolError) as raised:
        directory.judge(APP, stamp, NOW)
    assert raised.value.code is ErrorCode.CLOCK_SKEW
    assert directory.judge(APP, inside, NOW) is None
    directory.hear("node-1", IDENTITIES[0], stamp=stamp)
    assert directory.locate(APP) is None
    directory.hear("node-1", IDENTITIES[0], stamp=inside)
    assert directory.locate(APP) == THERE_ID
    directory.calendar.doubt(doubted=True)
    assert directory.judge(OTHER, stamp, NOW) is None
    directory.hear("node-2", IDENTITIES[1], stamp=stamp)
    assert directory.locate(ASKING) == FAR_ID


def test_what_was_taken_in_while_the_clock_was_in_doubt_locks_nobody_out() -> None:
    directory = Desk()
    directory.calendar.doubt(doubted=True)
    directory.hear("node-1", IDENTITIES[0], stamp=NOW_MS + 10**9)
    assert directory.judge(APP, NOW_MS, NOW) is not None
    directory.calendar.doubt(doubted=False)
    directory.hear("node-2", IDENTITIES[0])
    assert directory.locate(APP) == FAR_ID
    directory.calendar.doubt(doubted=True)
    directory.hear("node-1", IDENTITIES[0], stamp=NOW_MS + 10**9)
    directory.calendar.doubt(doubted=False)
    assert directory.judge(APP, NOW_MS, NOW) is None


def test_a_node_that_does_not_know_how_long_it_was_away_judges_no_stamp() -> None:
    directory = Desk()
    directory.calendar.set_ahead(-2 * STAMP_AHEAD_S)
    assert directory.judge(APP, NOW_MS, NOW) is None


def test_who_went_longer_ago_than_stamps_count_is_forgotten() -> None:
    directory = Desk()
    directory.hear("node-1", IDENTITIES[0], online=False)
    directory.expire(NOW + DIRECTORY_TTL_S)
    assert directory.last_home(APP) == THERE_ID
    directory.expire(NOW + DIRECTORY_TTL_S + 1)
    assert directory.last_home(APP) is None
