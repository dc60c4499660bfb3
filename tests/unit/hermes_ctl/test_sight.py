"""hermesctl mesh: a broken pair is seen in the matrix, and said in a line."""

from __future__ import annotations

import json

import pytest

from hermes_ctl.cli import main
from hermes_ctl.errors import CtlError
from hermes_ctl.kube import Cluster
from hermes_ctl.sight import Sight
from hermes_proto.v2.admin_pb2 import MeshMembers
from tests.unit.hermes_ctl.fake_api import FakeApi


def tell(own: str, **others: str) -> MeshMembers:
    """What node `own` says: of others their state, with a `+` when no stream stands."""
    entries = [MeshMembers.Entry(node_id=own, state="alive", self=True)]
    for name, state in others.items():
        entries.append(MeshMembers.Entry(node_id=name, state=state.rstrip("+"), linked=not state.endswith("+")))
    return MeshMembers(members=entries)


def test_a_broken_pair_stands_out() -> None:
    sight = Sight.of(
        [tell("a", b="dead+", c="alive"), tell("b", a="suspect+", c="alive+"), tell("c", a="alive", b="alive")], silent={}
    )
    lines = sight.format().splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["SEES", "A", "B", "C"],
        ["a", "·", "X", "="],
        ["b", "?", "·", "+"],
        ["c", "=", "=", "·"],
    ]
    assert lines[-2:] == ["a holds b for dead, and it answers", "b holds a for suspect, and it answers"]


def test_who_is_dead_for_all_is_no_broken_pair() -> None:
    sight = Sight.of([tell("a", b="alive", c="dead+"), tell("b", a="alive", c="dead+")], silent={"c": "nobody answers"})
    assert sight.list_broken() == []
    assert "no answer: c: nobody answers" in sight.format()


def test_who_was_not_asked_and_is_seen_by_one_alone_is_one() -> None:
    sight = Sight.of([tell("a", b="alive", c="alive+"), tell("b", a="alive")], silent={})
    assert sight.list_broken() == ["b holds c for not there, and a sees it"]


def test_in_a_cluster_each_node_is_asked_in_its_own_pod(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def answer(_cluster: Cluster, pod: str, command: list[str]) -> object:
        asked[pod] = command
        if pod == "demo-1":
            raise CtlError("there is no pod demo-1")
        return {"members": {"members": [{"node_id": "demo-0", "state": "alive", "self": True}]}}

    monkeypatch.setattr(Cluster, "run_in_pod", answer)
    assert main(["mesh", "demo", "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "seen": {"demo-0": {"demo-0": "·"}},
        "silent": {"demo-1": "there is no pod demo-1"},
        "broken": [],
    }
    assert list(asked) == ["demo-0", "demo-1"]
    assert main(asked["demo-0"][3:]) == 2, "the command that runs in the pod is one, and finds no token here"
    assert "cannot read the admin token /etc/hermes/admin/token" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["demo", "--admin", "http://127.0.0.1:1"], ["--admin", "http://127.0.0.1:1"]])
def test_what_cannot_be_meant_is_refused(words: list[str]) -> None:
    assert main(["mesh", *words]) == 2
