"""A passphrase that is typed: whatever bytes the keyboard makes of it are the passphrase, as they would be in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_core.crypto.secret import SecretBytes
from hermes_ctl.chat import chat_store
from hermes_ctl.commands import keystore

NO_UTF_8 = b"caf\xe9"


def ask_for_a_store() -> SecretBytes:
    return chat_store._read_passphrase(None, twice=False)


def ask_for_a_keystore() -> SecretBytes:
    return keystore._read_passphrase(None, "passphrase")


@pytest.mark.parametrize("ask", [ask_for_a_store, ask_for_a_keystore])
def test_what_is_typed_is_taken_as_its_bytes(
    ask: Callable[[], SecretBytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HERMES_KEYSTORE_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: os.fsdecode(NO_UTF_8))
    (tmp_path / "file").write_bytes(NO_UTF_8)
    assert ask().equals(chat_store._read_passphrase(tmp_path / "file", twice=False))
