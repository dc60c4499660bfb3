"""hermesctl mesh: a broken pair is seen in the matrix, and said in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hermes_ctl.cli import main
from hermes_ctl.errors import CtlError
from hermes_ctl.kube import Cluster
from hermes_ctl.sight import Sight
from hermes_ctl.terminal import may_colour
from hermes_proto.v2.admin_pb2 import MeshMembers
from tests.unit.hermes_ctl.fake_api import FakeApi


def tell(own: str, **others: str) -> MeshMembers:
    """What node `own` says: of others their state, with a `+` when no stream stands, a `#` when it is out of reach."""
    entries = [MeshMembers.Entry(node_id=own, state="alive", self=True)]
    for name, state in others.items():
        linked, unreached = state[-1] not in "+#", state.endswith("#")
        entries.append(MeshMembers.Entry(node_id=name, state=state.rstrip("+#"), linked=linked, unreached=unreached))
    return MeshMembers(members=entries)


def show(sight: Sight) -> list[list[str]]:
    """The matrix, in words."""
    return [line.split() for line in sight.format().split("\n\n")[0].splitlines()]


def say(sight: Sight) -> list[str]:
    return [broken.text for broken in sight.list_broken()]


def test_a_broken_pair_is_alive_for_all_and_stands_out() -> None:
    sight = Sight.of(
        [tell("a", b="alive#", c="alive"), tell("b", a="alive#", c="alive+"), tell("c", a="alive", b="alive")], silent={}
    )
    assert show(sight) == [
        ["SEES", "1", "2", "3"],
        ["1", "a", "·", "#", "="],
        ["2", "b", "#", "·", "+"],
        ["3", "c", "=", "=", "·"],
    ]
    assert say(sight) == ["a and b do not reach each other, and others reach both"]
    text = sight.format()
    assert text.count("do not reach each other") == 1
    assert "HermesMembersApart.md" in text.split("what to do:")[1]


def test_one_way_that_is_blocked_is_told_from_two() -> None:
    sight = Sight.of([tell("a", b="alive#", c="alive"), tell("b", a="alive"), tell("c", a="alive", b="alive")], silent={})
    assert "a does not reach b, and others do" in say(sight)


def test_nodes_that_are_wrong_of_one_are_said_in_one_line() -> None:
    sight = Sight.of(
        [tell("a", b="dead+", c="alive"), tell("b", a="suspect+", c="alive+"), tell("c", a="alive", b="dead+")], silent={}
    )
    assert say(sight) == ["b is dead for a, c, and it answers", "a is suspect for b, and it answers"]
    crowd = [tell(f"n-{number}", x="dead+") for number in range(7)]
    assert say(Sight.of([*crowd, tell("x")], silent={}))[0] == "x is dead for n-0, n-1, n-2, n-3 and 3 more, and it answers"


def test_who_is_dead_for_all_is_no_broken_pair() -> None:
    sight = Sight.of([tell("a", b="alive", c="dead+"), tell("b", a="alive", c="dead+")], silent={"c": "nobody answers"})
    assert sight.list_broken() == []
    text = sight.format()
    assert "no answer: c: nobody answers" in text
    assert "dead or gone for all who answer: c" in text
    assert show(sight)[-1] == ["3", "c", "no", "answer"]


def test_who_was_not_asked_and_is_seen_by_one_alone_is_one() -> None:
    sight = Sight.of([tell("a", b="alive", c="alive+"), tell("b", a="alive")], silent={})
    assert say(sight) == ["c is not known to b, and a sees it"]


def test_who_finds_itself_slow_says_so_and_comes_first_in_what_to_do() -> None:
    slow = tell("b", a="suspect", c="suspect")
    slow.members[0].local_health = 5
    sight = Sight.of([tell("a", b="alive", c="alive"), slow, tell("c", a="alive", b="alive")], silent={})
    assert show(sight)[2] == ["2", "b", "?", "·", "?", "slow:", "5", "of", "8"]
    first, second, *_ = sight.format().split("what to do:\n")[1].splitlines()
    assert "HermesMemberSlow.md" in first
    assert "HermesMemberFlapping.md" in second


def test_two_that_answer_under_one_name_are_told() -> None:
    assert say(Sight.of([tell("a"), tell("a")], silent={})) == [
        "a answered 2 times: several processes have its name, or it was asked twice"
    ]


def test_one_node_alone_says_that_nobody_else_does() -> None:
    assert "one node answered: nobody else says whom it sees" in Sight.of([tell("a")], silent={}).format()


def test_numbers_are_in_their_order_and_columns_in_line() -> None:
    names = [f"demo-{number}" for number in range(12)]
    sight = Sight.of([tell(own, **{name: "alive" for name in names if name != own}) for own in names], silent={})
    assert sight.names == names
    lines = sight.format().split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[12].startswith("12 demo-11")
    assert sight.format().endswith("all who answer are seen by all")


def test_of_many_nodes_those_are_shown_of_whom_there_is_something_to_say() -> None:
    names = [f"demo-{number}" for number in range(100)]
    answers = [tell(own, **{name: "alive" for name in names if name != own}) for own in names]
    assert "SEES" not in Sight.of(answers, silent={}).format()
    answers[7] = tell("demo-7", **{name: "alive#" if name == "demo-9" else "alive" for name in names if name != "demo-7"})
    sight = Sight.of(answers, silent={})
    assert [row[1] for row in show(sight)[1:]] == ["demo-7", "demo-9"]
    assert "98 nodes are not shown" in sight.format()


def test_colours_are_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sight = Sight.of([tell("a", b="alive#"), tell("b", a="alive#")], silent={})
    assert "\033" not in sight.format()
    assert "\033[1;31m#\033[0m" in sight.format(colours=True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert may_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not may_colour()


def test_in_a_cluster_each_node_is_asked_in_its_own_pod(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def answer(_cluster: Cluster, pod: str, command: list[str]) -> object:
        asked[pod] = command
        if pod == "demo-1":
            raise CtlError("there is no pod demo-1")
        return {"members": {"members": [{"node_id": "demo-0", "state": "alive", "self": True, "of_a_newer_node": 1}]}}

    monkeypatch.setattr(Cluster, "run_in_pod", answer)
    assert main(["mesh", "demo", "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "seen": {"demo-0": {"demo-0": "self"}},
        "silent": {"demo-1": "there is no pod demo-1"},
        "gone": [],
        "health": {"demo-0": 0},
        "broken": [],
    }
    assert list(asked) == ["demo-0", "demo-1"]
    assert main(asked["demo-0"][3:]) == 2, "the command that runs in the pod is one, and finds no token here"
    assert "cannot read the admin token /etc/hermes/admin/token" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["demo", "--admin", "http://127.0.0.1:1"], ["--admin", "http://127.0.0.1:1"]])
def test_what_cannot_be_meant_is_refused(words: list[str]) -> None:
    assert main(["mesh", *words]) == 2


def test_an_address_that_is_no_url_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("secret")
    assert main(["mesh", "--admin", "nonsense", "--token-file", str(tmp_path / "token")]) == 2
    assert "'nonsense' is not the URL of an admin server; it is such as http://127.0.0.1:9090" in capsys.readouterr().err
