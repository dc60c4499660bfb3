"""The command lines of the end-to-end tests: what cannot work is refused at once, and options stand anywhere."""

from __future__ import annotations

import pytest

from tests.e2e import run
from tests.e2e.harness import cli


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("--plan machines", 4),
        ("--plan machines --cluster kind", 4),
        ("--plan machines --cluster kind --nodes 3", 4),
        ("--plan machines --nodes 4", 4),
        ("--plan families --cluster kind", 2),
        ("--plan families --cluster existing --nodes 2", 2),
    ],
)
def test_a_plan_that_cannot_work_is_refused(words: str, needed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.parse(words.split())
    assert ended.value.code == 2
    assert f"needs --cluster kind with --nodes {needed} at least" in capsys.readouterr().err


def test_a_plan_with_enough_machines_is_taken() -> None:
    assert run.parse(["--plan", "machines", "--cluster", "kind", "--nodes", "4"]).plan == "machines"
    assert run.parse(["--plan", "families", "--cluster", "kind", "--nodes", "2", "--family", "dual"]).family == "dual"
    assert run.parse([]).plan == "whole"


@pytest.mark.parametrize(
    "words",
    [
        "kill --cluster kind NS POD C",
        "--cluster kind kill NS POD C",
        "kill NS POD C --cluster kind",
        "kill NS --cluster kind POD C",
    ],
)
def test_options_stand_anywhere(words: str) -> None:
    options = cli.parse(words.split())
    assert (options.command, options.words, options.cluster) == ("kill", ["NS", "POD", "C"], "kind")


def test_a_command_may_have_no_words() -> None:
    assert cli.parse(["load-image", "--cluster", "kind", "image.tar"]).words == ["image.tar"]
    assert cli.parse(["up", "--nodes", "3", "--cluster", "kind"]).words == []
    with pytest.raises(SystemExit):
        cli.parse(["frobnicate"])
