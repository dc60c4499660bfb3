"""hermesctl keystore, as a person uses it: every action on a real file, every failure one line with its exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hermes_core.errors import KeystoreBadPassphraseError, KeystoreExistsError, KeystoreMissingError, KeystoreTamperedError
from hermes_ctl.cli import main
from tests.component.keystore.kit import PASSPHRASE, content_at, copy_files, create, file_bytes, open_store, unchanged
from tests.component.keystore.test_keystore_migration_file import GOLDEN, expected
from tests.reference import keystore_reference as reference

CHEAP_FLAGS = ["--memory-kib", "8192", "--time-cost", "1"]


class Ctl:
    """Runs hermesctl in a folder with passphrase files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = folder / "keystore.db"
        self._folder = folder
        self._capsys = capsys

    def passphrase(self, text: bytes, name: str = "passphrase") -> str:
        (self._folder / name).write_bytes(text + b"\n")
        return str(self._folder / name)

    def run(self, action: str, *flags: str, code: int = 0) -> str:
        """What it printed; standard error, one line, when it failed."""
        assert main(["keystore", action, str(self.path), *flags]) == code
        captured = self._capsys.readouterr()
        if code:
            assert captured.err.count("\n") == 1
            return captured.err
        assert captured.err == ""
        return captured.out

    def json(self, action: str, *flags: str) -> dict[str, Any]:
        found = json.loads(self.run(action, *flags, "-o", "json"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def ctl(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ctl:
    monkeypatch.delenv("HERMES_KEYSTORE_PASSPHRASE", raising=False)
    monkeypatch.setattr("hermes_ctl.commands.keystore.forbid_core_dumps", lambda: None)  # this process is the tests'
    return Ctl(tmp_path, capsys)


def test_a_file_made_with_high_costs_opens_when_asked_to(ctl: Ctl) -> None:
    file = ctl.passphrase(b"first")
    ctl.run("init", "--passphrase-file", file, "--memory-kib", "8192", "--time-cost", "1", "--lanes", "1")
    again = ["--passphrase-file", file, "--new-passphrase-file", file]
    ctl.run("rotate-passphrase", *again, "--memory-kib", "65536", "--time-cost", "13")
    for action in ("verify", "rotate-generation"):
        assert "--any-cost" in ctl.run(action, "--passphrase-file", file, code=82)
    assert "--any-cost" in ctl.run("rotate-passphrase", *again, *CHEAP_FLAGS, code=82)
    assert "generation 2" in ctl.run("rotate-generation", "--passphrase-file", file, "--any-cost")
    ctl.run("rotate-passphrase", *again, *CHEAP_FLAGS, "--any-cost")
    assert ctl.json("verify", "--passphrase-file", file)["generation"] == 2


def test_from_init_to_a_new_generation(ctl: Ctl) -> None:
    first, second = ctl.passphrase(b"first"), ctl.passphrase(b"second", "new")
    made = ctl.run("init", "--passphrase-file", first, *CHEAP_FLAGS)
    assert ctl.json("inspect")["file_id"] in made
    assert ctl.json("verify", "--passphrase-file", first)["generation"] == 1
    rotated = ctl.run("rotate-passphrase", "--passphrase-file", first, "--new-passphrase-file", second, *CHEAP_FLAGS)
    assert "rotate-generation" in rotated
    assert KeystoreBadPassphraseError.cure in ctl.run("verify", "--passphrase-file", first, code=71)
    assert "generation 2" in ctl.run("rotate-generation", "--passphrase-file", second)
    flags = ["--passphrase-file", second, "--new-passphrase-file", first, "--and-generation", *CHEAP_FLAGS]
    assert "generation 3" in ctl.run("rotate-passphrase", *flags)
    assert ctl.json("verify", "--passphrase-file", first) == {
        "intact": True,
        "file_id": ctl.json("inspect")["file_id"],
        "generation": 3,
        "commit_counter": 9,  # made, five times opened, three rotations
        "records": {"identity": 1, "history": 3},
        "to_migrate": 0,
        "rolled_back": False,
    }


def test_the_passphrase_from_the_environment(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_KEYSTORE_PASSPHRASE", "from the environment")
    ctl.run("init", *CHEAP_FLAGS)
    assert ctl.json("verify")["intact"] is True
    open_store(ctl.path, b"from the environment").close()


def test_inspecting_needs_no_passphrase_shows_no_secret_and_changes_nothing(ctl: Ctl) -> None:
    create(ctl.path).close()
    with unchanged(ctl.path):
        found = ctl.json("inspect")
        assert found["records"] == {"identity v1": 1, "chat v3": 2, "tombstone v1": 1, "meta v1": 1, "history v1": 3}
        assert found["argon2"] == "8192 KiB, 1 passes, 1 lanes"
        assert "2 chat v3" in ctl.run("inspect")


def test_verify_finds_what_was_tampered_with_and_changes_nothing(ctl: Ctl) -> None:
    passphrase = ctl.passphrase(PASSPHRASE)
    create(ctl.path).close()
    data = bytearray(ctl.path.read_bytes())
    data[-100] ^= 1
    ctl.path.write_bytes(data)
    with unchanged(ctl.path):
        assert KeystoreTamperedError.cure in ctl.run("verify", "--passphrase-file", passphrase, code=72)


def test_verify_finds_a_chat_record_that_is_authentic_and_not_well_formed(ctl: Ctl) -> None:
    passphrase = ctl.passphrase(PASSPHRASE)
    create(ctl.path).close()  # its chat records are not real ones
    assert "not well formed" in ctl.run("verify", "--passphrase-file", passphrase, code=72)


def test_verify_reads_a_log_a_crash_left_and_leaves_it(ctl: Ctl, tmp_path: Path) -> None:
    source = tmp_path / "source" / "keystore.db"
    source.parent.mkdir()
    reference.write_golden(tmp_path, 3)
    shutil.copyfile(tmp_path / "record-v3.db", source)
    with open_store(source, reference.GOLDEN_PASSPHRASE) as store:
        store.rotate_generation()
        store.commit({}, [(store_table, key) for store_table, key in list(expected(3))[:2]])
        ctl.path = copy_files(source, tmp_path / "image")
    passphrase = ctl.passphrase(reference.GOLDEN_PASSPHRASE)
    assert len(file_bytes(ctl.path)) == 3
    with unchanged(ctl.path):
        assert ctl.json("inspect")["log_bytes"] > 0
        assert ctl.json("verify", "--passphrase-file", passphrase)["generation"] == 2


def test_migrating(ctl: Ctl) -> None:
    passphrase = ctl.passphrase(reference.GOLDEN_PASSPHRASE)
    shutil.copyfile(GOLDEN / "record-v1.db", ctl.path)
    with unchanged(ctl.path):
        assert "5 records from version 1 to 3" in ctl.run("migrate", "--dry-run")
        assert ctl.json("verify", "--passphrase-file", passphrase)["to_migrate"] == 5
    assert "migrated: generation 2" in ctl.run("migrate", "--passphrase-file", passphrase)
    with unchanged(ctl.path):
        assert "0 records to migrate" in ctl.run("migrate")
    assert content_at(ctl.path, reference.GOLDEN_PASSPHRASE) == expected(1)


def test_what_cannot_be_done_is_one_line_with_the_cure_and_changes_nothing(ctl: Ctl) -> None:
    passphrase = ctl.passphrase(PASSPHRASE)
    assert KeystoreMissingError.cure in ctl.run("inspect", code=76)
    assert KeystoreMissingError.cure in ctl.run("verify", "--passphrase-file", passphrase, code=76)
    create(ctl.path).close()
    with unchanged(ctl.path):
        assert KeystoreExistsError.cure in ctl.run("init", "--passphrase-file", passphrase, *CHEAP_FLAGS, code=79)
        assert "--memory-kib" in ctl.run("init", "--passphrase-file", passphrase, "--memory-kib", "1", code=2)
        assert "--passphrase-file" in ctl.run("verify", code=2)
        assert "--new-passphrase-file" in ctl.run("rotate-passphrase", "--passphrase-file", passphrase, code=2)
        assert "passphrase_file" in ctl.run("verify", "--passphrase-file", str(ctl.path.parent / "nowhere"), code=78)
    with open_store(ctl.path):
        for action in ("inspect", "verify", "rotate-generation"):
            flags = [] if action == "inspect" else ["--passphrase-file", passphrase]
            assert "another process" in ctl.run(action, *flags, code=75)


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keystore", "--help"])
    text = capsys.readouterr().out
    for action in ("init", "inspect", "verify", "rotate-passphrase", "rotate-generation", "migrate"):
        assert f"hermesctl keystore {action} keystore.db" in text


@pytest.mark.skipif(sys.platform != "linux", reason="what a process may do to another is told by /proc")
@pytest.mark.parametrize("action", ["init", "verify", "rotate-passphrase", "rotate-generation"])
def test_who_reads_a_passphrase_makes_no_core_dump(tmp_path: Path, action: str) -> None:
    """Before it has read a byte of it: it waits here for somebody to write into the pipe."""
    if action != "init":
        create(tmp_path / "keystore.db").close()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "hermes_ctl.cli", "keystore", action, str(tmp_path / "keystore.db")]
    running = subprocess.Popen([*command, "--passphrase-file", str(pipe)], stderr=subprocess.DEVNULL)
    with pipe.open("wb"):  # it has opened the other end
        limits = Path("/proc", str(running.pid), "limits").read_text().splitlines()
    running.kill()
    running.wait()
    assert next(line.split() for line in limits if line.startswith("Max core file size"))[4:6] == ["0", "0"]
