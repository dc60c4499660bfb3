"""How a node refuses to start: its own exit code, one line with the cure, and no byte of the keystore changed."""

from __future__ import annotations

import hashlib
import json
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hermes_client.scenario.certificates import LocalAuthority
from hermes_client.scenario.local_mesh import SettingValue, render_toml
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_keystore import Keystore
from hermes_node.keystore.identity import new_identity
from tests.support.nodes import DEADLINE_S, last_line, run_node

Settings = dict[str, dict[str, SettingValue]]
PASSPHRASE = b"correct horse"


def make_settings(folder: Path) -> Settings:
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    (folder / "token").write_text("0123456789abcdef")
    files = LocalAuthority(folder).issue_node("solo")
    return {
        "node": {"id": "solo", "data_dir": str(folder), "ready_file": str(folder / "ready.json")},
        "app": {"listen": "127.0.0.1:0"},
        "mesh": {
            "listen": "127.0.0.1:0",
            "tls_cert": str(files.certificate),
            "tls_key": str(files.key),
            "tls_ca": str(folder / "ca.crt"),
        },
        "admin": {"listen": "127.0.0.1:0", "token_file": str(folder / "token")},
        "keystore": {"passphrase_file": str(folder / "passphrase"), "argon2_memory_kib": 8192, "argon2_time_cost": 1},
    }


def make_keystore(folder: Path, passphrase: bytes = PASSPHRASE) -> Path:
    path = folder / "keystore.db"
    secret = SecretBytes.take(bytearray(passphrase))
    with new_identity(SYSTEM_RANDOM) as records:
        Keystore.create(path, secret, records=records, argon2=Argon2Params(8192, 1, 1)).close()
    return path


def expect_failure(settings: Settings, folder: Path, exit_code: int, *words: str) -> str:
    ended = run_node(settings, folder)
    line = last_line(ended.stderr)
    assert ended.returncode == exit_code, ended.stderr
    assert line.startswith("hermes-node: ")
    assert "cure: " in line
    for word in words:
        assert word in line
    assert "Traceback" not in ended.stderr
    assert not (folder / "ready.json").exists()
    return line


def test_wrong_passphrase(tmp_path: Path) -> None:
    settings, path = make_settings(tmp_path), make_keystore(tmp_path, b"another one")
    before = path.read_bytes()
    line = expect_failure(settings, tmp_path, 71, "KEYSTORE_BAD_PASSPHRASE")
    assert PASSPHRASE.decode() not in line
    assert path.read_bytes() == before


def test_tampered_keystore(tmp_path: Path) -> None:
    settings, path = make_settings(tmp_path), make_keystore(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    path.write_bytes(damaged)
    expect_failure(settings, tmp_path, 72, "KEYSTORE_TAMPERED")
    assert path.read_bytes() == damaged


def test_a_keystore_that_asks_for_much_more_than_is_configured(tmp_path: Path) -> None:
    """Whoever can write the file sets its costs: a gigabyte here. Asked to, a node pays, in vain."""
    settings, path = make_settings(tmp_path), make_keystore(tmp_path)
    ask_for(path, 1 << 20)
    before = path.read_bytes()
    line = expect_failure(settings, tmp_path, 82, "KEYSTORE_TOO_COSTLY", "1048576 KiB", "8192 KiB", "argon2_any_cost")
    assert PASSPHRASE.decode() not in line
    ask_for(path, 5 * 8192)
    expect_failure(settings, tmp_path, 82, "KEYSTORE_TOO_COSTLY")
    settings["keystore"]["argon2_any_cost"] = True
    expect_failure(settings, tmp_path, 71, "KEYSTORE_BAD_PASSPHRASE")
    assert len(path.read_bytes()) == len(before)


def ask_for(path: Path, memory_kib: int) -> None:
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
        body = raw[:29] + memory_kib.to_bytes(4, "big") + raw[33:-8]
        database.execute("UPDATE header SET body = ?", (body + hashlib.sha256(body).digest()[:8],))
    database.close()
    assert not path.with_name("keystore.db-wal").exists()


def test_keystore_in_use(tmp_path: Path) -> None:
    settings, path = make_settings(tmp_path), make_keystore(tmp_path)
    with Keystore.open(path, SecretBytes.take(bytearray(PASSPHRASE))):
        expect_failure(settings, tmp_path, 75, "KEYSTORE_LOCKED")


def test_missing_keystore_is_not_created_unasked(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["keystore"]["create"] = False
    expect_failure(settings, tmp_path, 76, "KEYSTORE_MISSING")
    assert not (tmp_path / "keystore.db").exists()


def test_missing_passphrase_file(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    (tmp_path / "passphrase").unlink()
    expect_failure(settings, tmp_path, 78, "CONFIG_INVALID", "keystore.passphrase_file")


def test_files_that_everybody_may_write(tmp_path: Path) -> None:
    settings, path = make_settings(tmp_path), make_keystore(tmp_path)
    path.chmod(0o666)
    expect_failure(settings, tmp_path, 74, "KEYSTORE_IO", "everybody may write", "chmod o-w")
    (tmp_path / "passphrase").chmod(0o666)
    expect_failure(settings, tmp_path, 78, "CONFIG_INVALID", "keystore.passphrase_file", "everybody may write", "chmod o-w")


def test_empty_passphrase(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    (tmp_path / "passphrase").write_bytes(b"\n")
    expect_failure(settings, tmp_path, 78, "keystore.passphrase_file")


def test_configuration_names_the_field(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["crypto"] = {"windou": 3}
    expect_failure(settings, tmp_path, 78, "CONFIG_INVALID", "crypto.windou", "did you mean crypto.window?")


def test_what_the_core_would_refuse_ends_the_node_before_the_keystore_is_made(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["crypto"] = {"max_skip": 4097}
    expect_failure(settings, tmp_path, 78, "CONFIG_INVALID", "crypto.max_skip: 4097 is not between 1 and 4096")
    assert not (tmp_path / "keystore.db").exists()
    assert run_node(settings, tmp_path, "--check-config").returncode == 78


@pytest.mark.parametrize("setting", ["tls_cert", "tls_key", "tls_ca"])
def test_unreadable_certificate_file(setting: str, tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["mesh"][setting] = str(tmp_path / "nothing.pem")
    expect_failure(settings, tmp_path, 78, "CONFIG_INVALID", f"mesh.{setting}", "nothing.pem")


def test_certificate_of_another_node(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["node"]["id"] = "other"
    expect_failure(settings, tmp_path, 81, "mesh.tls_cert", "DNS:other")


def test_keystore_of_another_node(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["mesh"] = {"listen": ""}
    settings["node"]["id"] = "first"
    start_and_stop(settings, tmp_path)
    settings["node"]["id"] = "second"
    expect_failure(settings, tmp_path, 78, "node.id", "'first'")


def test_port_in_use(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for section in ("app", "mesh", "admin"):
            settings = make_settings(tmp_path)
            settings[section]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
            expect_failure(settings, tmp_path, 80, "LISTEN_FAILED", f"{section}.listen")
            assert not (tmp_path / "keystore.db").exists()


def test_check_config_and_version(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    checked = run_node(settings, tmp_path, "--check-config")
    assert (checked.returncode, checked.stdout) == (0, "configuration is valid\n")
    assert not (tmp_path / "keystore.db").exists()
    settings["app"]["listen"] = "nonsense"
    assert run_node(settings, tmp_path, "--check-config").returncode == 78
    version = run_node(None, tmp_path, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith("hermes-node ")


def test_passphrase_from_the_environment(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    del settings["keystore"]["passphrase_file"]
    make_keystore(tmp_path)
    start_and_stop(settings, tmp_path, environment={"HERMES_KEYSTORE_PASSPHRASE": PASSPHRASE.decode()})


def test_ready_file_tells_the_bound_addresses_and_sigterm_ends_well(tmp_path: Path) -> None:
    facts = start_and_stop(make_settings(tmp_path), tmp_path)
    for name in ("app", "mesh", "admin"):
        host, _, port = str(facts[name]).rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
    assert facts["app_security"] == "plain"


def test_a_node_serves_nobody_in_plain_that_was_not_told_to(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["app"] = {"listen": "0.0.0.0:0"}
    expect_failure(settings, tmp_path, 78, "app.tls_cert", "app.plaintext = true")
    assert not (tmp_path / "keystore.db").exists()
    settings["app"] |= {key: settings["mesh"][key] for key in ("tls_cert", "tls_key")}
    assert start_and_stop(settings, tmp_path)["app_security"] == "TLS"
    settings["app"]["tls_client_ca"] = settings["mesh"]["tls_ca"]
    assert start_and_stop(settings, tmp_path)["app_security"] == "mutual TLS"


def test_sigterm_during_the_start_ends_well_and_the_keystore_is_whole(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings["keystore"] |= {
        "argon2_memory_kib": 65536,
        "argon2_time_cost": 12,
    }  # long enough to come first, and not too much for the opening below
    (tmp_path / "node.toml").write_text(render_toml(settings))
    log_path = tmp_path / "node.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hermes_node.cli", "--config", str(tmp_path / "node.toml")], stderr=log
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while "node_starting" not in log_path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert "keystore_unsealed" not in log_path.read_text()
        assert process.wait(DEADLINE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    events = [json.loads(line)["event"] for line in log_path.read_text().splitlines()]
    assert events[0] == "node_starting"
    assert [event for event in events if event.startswith("node_")][-3:] == ["node_draining", "node_stopping", "node_stopped"]
    Keystore.open(tmp_path / "keystore.db", SecretBytes.take(bytearray(PASSPHRASE))).close()


def start_and_stop(settings: Settings, folder: Path, *, environment: dict[str, str] | None = None) -> dict[str, object]:
    """Start a node until it serves, end it with SIGTERM, expect exit code 0."""
    (folder / "node.toml").write_text(render_toml(settings))
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "hermes_node.cli", "--config", str(folder / "node.toml")],
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not ready.exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.02)
        facts: dict[str, object] = json.loads(ready.read_text())
        assert facts["pid"] == process.pid
        ready.unlink()
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
    return facts
