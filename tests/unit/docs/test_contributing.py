"""docs/contributing.md leads where it says: names exist, lists are complete, its first test runs as it stands on the page."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hermes_core.errors import ErrorCode
from tests.model.honest import HonestWorld
from tests.unit.observability.known_series import CONDITIONS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "contributing.md").read_text()
SOURCES = ("node", "client", "operator", "proto", "crds", "charts", "alerts", "dashboards", "tools", "tests", "docs")
SUFFIXES = {".py", ".proto", ".yaml", ".tpl", ".md"}
MADE = re.compile(
    r"_pb2|^charts/hermes-operator/files/|^alerts/hermes\.\w+\.yaml|^tests/vectors/.*json|^tests/unit/docs/|^docs/contributing\.md"
    r"|^docs/reference/(configuration|errors|hermesmesh|hop-states|metrics|alerts)\.md"
)

CHAINS: dict[str, list[list[str]]] = {
    "A setting": [["MaxChatsPerApp", "RekeyRefillS"], ["max_chats", "overlap_s"]],
    "A CRD field": [["maxChatsPerApp", "maxKeyLifetime"], ["MeshSpec", "max_key_lifetime_s"]],
    "An error code": [[code.name for code in ErrorCode]],
    "A message": [["Answer", "Confirm", "Reject", "Resume", "PathState", "ClosedAck"], ["parse_reject", "parse_path"]],
    "A record version": [["acked", "messages_in_epoch"], ["RECORD_VERSIONS", "encode_chat_record"]],
    "An alert": [["HermesMeshDown", "HermesOperatorDown", "HermesMeshPartitioned"], ["HermesOperatorNoLeader"]],
    "A panel": [["WELL", "CRYPTO"], ["KEYSTORES", "OPERATOR"]],
    "A metric": [["ThrottleScope", "ReplayKind"], ["count_notice"]],
    "A log event": [["keystore_rotated", "peer_unlinked", "node_unready"]],
    "An event of the core": [["ChatQuarantined", "NoticeDelivered", "RekeyRequired"], ["SessionReplaced", "BatchRefused"]],
    "An admin endpoint": [["/resume/witness", "/crypto/ratchets", "/mesh/members"], ["list_ratchets"]],
    "A condition": [[*CONDITIONS]],
    "An object that a mesh owns": [["build_disruption_budget"], ["poddisruptionbudgets", "statefulsets"]],
    "A key backend": [["PassphraseBackend", "hermes_core"], ["TransparentBackend"]],
    "A fault or an invariant of the simulation": [["hostile_middle", "half_open"], ["InputsBeforeTimers", "EndsSayWhy"]],
    "A state or input of a hop": [["READY_ONWARD"], ["GIVE_UP_CLAIM", "ONWARD_DOWN"]],
    "A timer of a chat": [["rekey_deadline"], ["claims_due_at"]],
    "A rule of a stream": [["max_invalid_batches", "SessionParams"]],
}
"""Words of things that are there already: a file that has all words of a row is a place where another such thing belongs."""
USES = {
    "A record version": {"tests/model/parties.py"},
    "A key backend": {
        "node/hermes_keystore/__init__.py",
        "tests/component/keystore/kit.py",
        "tests/unit/hermes_core/keystore/test_keystore_vectors.py",
        "tests/unit/hermes_core/keystore/test_wiped_on_the_way.py",
    },
}
"""Files that have the words and only use what is there."""


def _section(title: str, level: int = 2) -> str:
    found = re.search(rf"^{'#' * level} {re.escape(title)}\n(.*?)(?=^#{{2,{level}}} |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


RECIPES = re.findall(r"^### (.+)$", _section("How to add"), flags=re.MULTILINE)


def _spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def _paths(text: str) -> list[str]:
    """Spans that name a file or folder of the tree, without what they name in it."""
    return [span.partition(":")[0] for span in _spans(text) if re.match(r"[\w.]+/[\w./-]+(:[\w.]+)?$", span)]


def _commands(recipe: str) -> list[str]:
    (line,) = re.findall(r"^Forgot one\? (.+)$", _section(recipe, 3), flags=re.MULTILINE)
    return _spans(line)


@cache
def _names(path: Path) -> frozenset[str]:
    return frozenset(_defined(ast.parse(path.read_text()).body))


def _defined(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    """Functions, classes, methods, fields and constants, as `Class.name`; what `self.x = …` makes in an __init__ among them."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield inside + node.name
            yield from _defined(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inside + node.name
            if node.name == "__init__":
                yield from _defined(node.body, inside)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (inside + (getattr(target, "id", "") or getattr(target, "attr", "")) for target in targets)


def _missing(text: str) -> list[str]:
    found = re.findall(r"`([\w./-]+\.py):([\w.]+)`", text)
    return [f"{path}:{name}" for path, name in found if not (ROOT / path).exists() or name not in _names(ROOT / path)]


@cache
def _texts() -> dict[str, str]:
    """Everything that is written by hand."""
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    names = {str(path.relative_to(ROOT)): path for path in files}
    return {name: path.read_text() for name, path in names.items() if not MADE.search(name)}


def _files_with(words: list[str]) -> set[str]:
    return {
        name for name, text in _texts().items() if all(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words)
    }


def test_each_name_exists_in_its_file() -> None:
    assert len(re.findall(r"`[\w./-]+\.py:[\w.]+`", PAGE)) > 80
    assert _missing(PAGE) == []


def test_a_name_that_does_not_exist_is_seen() -> None:
    text = "`tests/model/honest.py:HonestWorld.kill` `tests/model/honest.py:HonestWorld.maim` `nowhere.py:x` `README.md`"
    assert _missing(text) == ["tests/model/honest.py:HonestWorld.maim", "nowhere.py:x"]


def test_each_path_exists() -> None:
    assert [path for path in _paths(PAGE) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("flow", ["How a message flows", "How a manifest flows"])
def test_a_flow_is_a_numbered_list_of_calls(flow: str) -> None:
    steps = re.split(r"^\d+\. ", _section(flow), flags=re.MULTILINE)[1:]
    numbers = re.findall(r"^(\d+)\. ", _section(flow), flags=re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, len(steps) + 1))
    assert [step for step in steps if not re.search(r"`[\w./-]+\.py:[\w.]+`", step)] == []


def test_each_word_has_its_place() -> None:
    rows = [line for line in _section("Words").splitlines() if line.startswith("| **")]
    words = {word for row in rows for word in re.findall(r"\*\*([\w ]+)\*\*", row)}
    assert words >= {"hop", "side", "leg", "tieline", "neighbour", "link", "claim", "stream"}
    assert [row for row in rows if not re.search(r"\| .*(`[\w./-]+\.py:|\]\(adr/)[^|]*\|$", row)] == []


def test_every_list_is_checked() -> None:
    assert set(RECIPES) == {*CHAINS, "A command"}


@pytest.mark.parametrize("recipe", CHAINS)
def test_a_list_names_every_place_where_there_is_one_already(recipe: str) -> None:
    listed = set(_paths(_section(recipe, 3)))
    for words in CHAINS[recipe]:
        found = _files_with(words) - USES.get(recipe, set())
        assert found, words
        left_out = {name for name in found if not any(name == path or name.startswith(f"{path}/") for path in listed)}
        assert left_out == set(), words


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_list_is_numbered_and_ends_with_what_finds_an_omission(recipe: str) -> None:
    text = _section(recipe, 3)
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 1
    commands = _commands(recipe)
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program in {"make", ".venv/bin/pytest"}, command
        assert program == "make" or all((ROOT / path).exists() for path in arguments if path != "-q"), command


def test_modules_that_are_run_exist() -> None:
    modules = re.findall(r"python -m ([\w.]+)", PAGE)
    assert len(modules) > 3
    places = [ROOT / module.replace(".", "/") for module in modules]
    assert [place for place in places if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists())] == []


def _first_test() -> str:
    (code,) = re.findall(r"<!-- first test -->\n```python\n(.*?)```\n<!-- /first test -->", PAGE, flags=re.DOTALL)
    return str(code)


def _run_first_test() -> None:
    space: dict[str, object] = {}
    exec(compile(_first_test(), "first test", "exec"), space)  # noqa: S102 - our own page
    (test,) = (value for name, value in space.items() if name.startswith("test_"))
    assert callable(test)
    test()


def test_the_first_test_passes_as_it_stands() -> None:
    _run_first_test()


def test_the_first_test_fails_when_the_node_stays_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the page says: 1 is not 2."""
    monkeypatch.setattr(HonestWorld, "revive", lambda *_: None)
    with pytest.raises(AssertionError):
        _run_first_test()


def _pairs() -> list[tuple[str, str]]:
    """A path and a name that the page says is in it: `path.py`: `NAME`, `NAME`."""
    rows = re.findall(r"`([\w./-]+\.(?:py|proto|yaml))`: ((?:`\w+`(?:, | and )?)+)", PAGE)
    return [(path, name) for path, names in rows for name in re.findall(r"`(\w+)`", names)]


@pytest.mark.parametrize(("path", "name"), _pairs())
def test_a_name_after_a_path_is_in_that_file(path: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", (ROOT / path).read_text())
