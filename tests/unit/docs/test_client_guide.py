"""The guide for app developers says what to do about every error, every end of a chat, and names only what exists."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

import hermes_client
from hermes_core.errors import ErrorCode, HermesError, KeystoreError, ProtocolError
from hermes_core.protocol.messages import CloseReason

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "client.md").read_text()
RAISED = [value for name in hermes_client.__all__ if isinstance(value := getattr(hermes_client, name), type)]
ERRORS = {error.__name__ for error in RAISED if issubclass(error, HermesError)} | {"KeystoreError", "ProtocolError"}


def rows(heading: str) -> dict[str, str]:
    """First cells of the table with this heading, and the rest of each row."""
    _, _, table = GUIDE.partition(f"| {heading} |")
    lines = table.split("\n\n")[0].splitlines()[2:]
    return {line.split("`")[1]: line.split("|", 2)[2] for line in lines}


def test_each_error_of_the_library_has_its_row_and_a_cure() -> None:
    assert len(ERRORS) > 8
    assert set(rows("error")) == ERRORS
    assert issubclass(KeystoreError, HermesError)
    assert issubclass(ProtocolError, HermesError)
    assert [row for row in rows("error").values() if len(row.split(" | ")[-1]) < 15] == []


def test_each_end_of_a_chat_has_its_row() -> None:
    assert set(rows("`reason` of a chat's end")) == {reason.name for reason in CloseReason}


def test_codes_are_the_librarys_and_those_that_start_chat_waits_for_are_among_them() -> None:
    codes = set(rows("`code` of a `ProtocolError`"))
    assert codes <= {code.name for code in ErrorCode}
    assert codes >= {"TARGET_NOT_FOUND", "TARGET_OFFLINE", "ROUTE_UNAVAILABLE", "REKEY_THROTTLED", "INVALID_FRAME"}


def test_its_first_program_is_short() -> None:
    first = re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)[0]
    assert len(first.splitlines()) <= 30


@pytest.mark.parametrize("name", ["write_own", "read_own", "messages", "drain", "move", "wait_for_app", "last_sent"])
def test_what_it_names_is_in_the_library(name: str) -> None:
    assert f"{name}" in GUIDE
    assert any(hasattr(owner, name) for owner in (hermes_client.HermesClient, hermes_client.Chat, hermes_client.AppStore)) or (
        name in vars(hermes_client.Chat(None, None, None))  # type: ignore[arg-type]
    )


def test_its_picture_asks_nobody_for_anything_and_shows_what_is_said_of_it() -> None:
    picture = (Path(__file__).parents[3] / "docs" / "pictures" / "chat.svg").read_text()
    assert not re.search(r"""(href|src|url)\W*["'(]\W*(https?:)?//""", picture)
    shown = html.unescape(picture).replace("\N{NO-BREAK SPACE}", " ")
    story = ("Killed", "since the last start", "kept until the path is back", "3 taken", "* moved to")
    assert [words for words in story if words not in shown] == []
