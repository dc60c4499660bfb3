"""What a configuration names outside itself is judged before anything is written."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ConfigError
from hermes_keystore import Keystore
from hermes_node.config.preflight import MAX_NAME_BYTES, MAX_TOKEN_BYTES, MIN_TOKEN_BYTES, check_surroundings
from hermes_node.config.sections import AdminSection, AppSection, Config, KeystoreSection, MeshSection, NodeSection
from hermes_node.errors import ListenError


@pytest.fixture
def good(tmp_path: Path) -> Config:
    for name in ("cert", "key", "ca", "passphrase", "token"):
        (tmp_path / name).write_text("x" * MIN_TOKEN_BYTES)
    cert, key, ca = (str(tmp_path / name) for name in ("cert", "key", "ca"))
    return Config(
        node=NodeSection(id="a", data_dir=str(tmp_path / "made" / "later"), ready_file=str(tmp_path / "ready.json")),
        app=AppSection(listen="127.0.0.1:0", tls_cert=cert, tls_key=key, tls_client_ca=ca),
        mesh=MeshSection(listen="127.0.0.1:0", tls_cert=cert, tls_key=key, tls_ca=ca),
        admin=AdminSection(listen="localhost:0", token_file=str(tmp_path / "token")),
        keystore=KeystoreSection(passphrase_file=str(tmp_path / "passphrase")),
    )


def change(config: Config, field: str, value: Any) -> Config:
    section, _, name = field.partition(".")
    return replace(config, **{section: replace(getattr(config, section), **{name: value})})


def refusal(config: Config, folder: Path) -> ConfigError:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        check_surroundings(config)
    assert sorted(folder.rglob("*")) == before
    return caught.value


def test_what_can_work_is_accepted_and_nothing_is_written(good: Config, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    check_surroundings(good)
    assert sorted(tmp_path.rglob("*")) == before


FILES = ["app.tls_cert", "app.tls_key", "app.tls_client_ca", "mesh.tls_cert", "mesh.tls_key", "mesh.tls_ca"]
FILES += ["admin.token_file", "keystore.passphrase_file"]


@pytest.mark.parametrize("field", FILES)
def test_a_file_that_cannot_be_read_is_named(field: str, good: Config, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, tmp_path / "cert" / "below", Path("x" * 5000)):
        error = refusal(change(good, field, str(path)), tmp_path)
        assert error.field == field
        assert "cannot read" in error.detail


def test_files_of_a_mesh_that_is_off_are_not_looked_at(good: Config) -> None:
    check_surroundings(change(change(good, "mesh.listen", ""), "mesh.tls_ca", "/nowhere"))


def test_a_token_that_nobody_could_use(good: Config, tmp_path: Path) -> None:
    for size, accepted in (
        (MIN_TOKEN_BYTES - 1, False),
        (MIN_TOKEN_BYTES, True),
        (MAX_TOKEN_BYTES, True),
        (MAX_TOKEN_BYTES + 1, False),
    ):
        (tmp_path / "token").write_text("x" * size)
        if accepted:
            check_surroundings(good)
        else:
            assert refusal(good, tmp_path).field == "admin.token_file"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("node.ready_file", "{}/missing/ready.json"),
        ("node.ready_file", "{}/cert/ready.json"),
        ("node.ready_file", "{}"),
        ("node.ready_file", "{}/" + "x" * 241),
        ("keystore.path", "{}/" + "x" * 241),
        ("node.ready_file", "x" * 5000),
        ("keystore.path", "{}"),
        ("keystore.path", "{}/cert/keystore.db"),
        ("node.data_dir", "{}/cert/below"),
        ("node.data_dir", "/" + "x" * 300),
    ],
)
def test_a_place_where_nothing_can_be_written(field: str, value: str, good: Config, tmp_path: Path) -> None:
    assert refusal(change(good, field, value.format(tmp_path)), tmp_path).field == field


def test_the_longest_name_can_be_used(good: Config, tmp_path: Path) -> None:
    for field in ("node.ready_file", "keystore.path"):
        check_surroundings(change(good, field, str(tmp_path / ("x" * MAX_NAME_BYTES))))
    passphrase = SecretBytes.take(bytearray(b"words"))
    with Keystore.create(tmp_path / ("x" * MAX_NAME_BYTES), passphrase, argon2=Argon2Params(8192, 1, 1)) as keystore:
        keystore.rotate_generation()


@pytest.mark.parametrize("field", ["app.listen", "mesh.listen", "admin.listen"])
def test_addresses_to_listen_on(field: str, good: Config, tmp_path: Path) -> None:
    for text in ("203.0.113.9:0", "no.such.invalid:0"):
        error = refusal(change(good, field, text), tmp_path)
        assert error.field == field
        assert "cannot listen" in error.detail
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError, match=field):
        check_surroundings(change(good, field, f"127.0.0.1:{taken.getsockname()[1]}"))


def test_nothing_is_taken_from_a_pipe(tmp_path: Path) -> None:
    """A passphrase may come through one; what is read here would be missing there."""
    end, other = os.pipe()
    try:
        os.write(other, b"correct horse")
        config = replace(Config(), keystore=KeystoreSection(path=str(tmp_path / "k.db"), passphrase_file=f"/dev/fd/{end}"))
        config = replace(config, mesh=MeshSection(listen=""), app=AppSection(listen="127.0.0.1:0"))
        config = replace(config, admin=AdminSection(listen="127.0.0.1:0"))
        check_surroundings(config)
        assert os.read(end, 100) == b"correct horse"
    finally:
        os.close(end)
        os.close(other)
