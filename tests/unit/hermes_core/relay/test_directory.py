"""The directory tells an app that is away from one that nobody ever heard of, and both from a mesh that has no way."""

from __future__ import annotations

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId, derive_app_id
from hermes_core.relay import directory as module
from hermes_core.relay.directory import Directory
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.rows import ChatIndex
from tests.support.sessions import make_stream_keys

HERE, THERE = NodeId("node-0"), NodeId("node-1")
APP, ASKING, OTHER = (derive_app_id(Identity.generate().public_key) for _ in range(3))


def make(*neighbours: Neighbour) -> Directory:
    """A node to which these are connected."""
    keys = make_stream_keys(bytes(32), dialled=True)
    links = {neighbour: Link(neighbour, 1, bytes(32), keys, 0.0) for neighbour in neighbours}
    return Directory(HERE, links, ChatIndex())


def refusal(directory: Directory, target: AppId, source: Neighbour | None = None) -> ErrorCode:
    with pytest.raises(ProtocolError) as raised:
        directory.find_route(source or app_neighbour(ASKING), target)
    return raised.value.code


def test_never_heard_of() -> None:
    directory = make()
    assert refusal(directory, APP) is ErrorCode.TARGET_NOT_FOUND
    assert (directory.locate(APP), directory.last_home(APP)) == (None, None)


def test_gone_from_here() -> None:
    directory = make()
    directory.note_away(APP)
    assert refusal(directory, APP) is ErrorCode.TARGET_OFFLINE
    assert (directory.locate(APP), directory.last_home(APP)) == (None, HERE)


def test_gone_from_another_node_or_with_it() -> None:
    directory = make()
    directory.update({APP: THERE, OTHER: THERE})
    directory.update({OTHER: THERE})
    assert refusal(directory, APP) is ErrorCode.TARGET_OFFLINE
    assert directory.last_home(APP) == THERE


def test_there_and_no_way_to_its_node() -> None:
    directory = make()
    directory.update({APP: THERE})
    assert refusal(directory, APP) is ErrorCode.ROUTE_UNAVAILABLE
    assert directory.locate(APP) == THERE
    assert make(node_neighbour(THERE)).last_home(APP) is None


def test_back_again() -> None:
    directory = make(app_neighbour(APP))
    directory.note_away(APP)
    assert directory.locate(APP) == HERE
    assert directory.find_route(app_neighbour(ASKING), APP).neighbour == app_neighbour(APP)


def test_what_another_node_sends_here_is_for_an_app_that_the_mesh_has_heard_of() -> None:
    assert refusal(make(), APP, node_neighbour(THERE)) is ErrorCode.TARGET_OFFLINE


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    directory = make()
    for app_id in (APP, ASKING, APP, OTHER):  # the one that went first, though it had come twice, is not the oldest
        directory.note_away(app_id)
    assert [directory.last_home(app_id) for app_id in (APP, ASKING, OTHER)] == [HERE, None, HERE]
