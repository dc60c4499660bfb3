"""Who else may use the files that a configuration names: everybody's writing is refused, everybody's reading told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hermes_core.errors import ConfigError
from hermes_node.config.file_modes import find_exposed
from hermes_node.config.preflight import check_surroundings
from hermes_node.config.sections import AdminSection, AppSection, Config, KeystoreSection, MeshSection
from hermes_node.keystore.passphrase import read_passphrase
from tests.unit.hermes_node.test_preflight import FILES, change, good, refusal

__all__ = ["good"]
KUBERNETES = [0o440, 0o640, 0o644, 0o600, 0o660]
"""Of Secrets in a pod, ours and by default, and of what lies on a volume with an fsGroup."""


@pytest.mark.parametrize("field", FILES)
@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_file_that_everybody_may_write_is_named_with_a_cure(field: str, mode: int, good: Config, tmp_path: Path) -> None:
    path = tmp_path / "shared"
    path.write_text("x" * 32)
    path.chmod(mode)
    error = refusal(change(good, field, str(path)), tmp_path)
    assert error.field == field
    assert "chmod o-w" in error.problem
    path.chmod(0o660)
    check_surroundings(change(good, field, str(path)))


@pytest.mark.parametrize("mode", KUBERNETES)
def test_modes_of_kubernetes_are_taken_also_by_way_of_its_links(mode: int, good: Config, tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    file = tmp_path / "..data" / "passphrase"
    file.write_bytes(b"words")
    file.chmod(mode)
    link = tmp_path / "linked"
    link.symlink_to("..data/passphrase")
    check_surroundings(change(good, "keystore.passphrase_file", str(link)))
    assert bytes(read_passphrase(str(link), {}).buffer) == b"words"


def test_a_passphrase_that_everybody_may_write_is_not_read_by_anybody(tmp_path: Path) -> None:
    """Nor by hermesctl, which has no configuration to judge first; a pipe's mode says nothing."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"words")
    path.chmod(0o606)
    with pytest.raises(ConfigError, match="everybody may write") as caught:
        read_passphrase(str(path), {})
    assert caught.value.field == "keystore.passphrase_file"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    end = os.open(pipe, os.O_RDWR)
    os.write(end, b"words" + bytes(5000))
    with pytest.raises(ConfigError, match="1 to 4096"):
        read_passphrase(str(pipe), {})
    os.close(end)


def test_files_of_secrets_that_everybody_may_read_are_found_once_each(tmp_path: Path) -> None:
    for name in ("keystore.db", "passphrase", "token", "key", "cert"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0o644)
    key, cert = str(tmp_path / "key"), str(tmp_path / "cert")
    config = Config(
        app=AppSection(tls_cert=cert, tls_key=key),
        mesh=MeshSection(tls_cert=cert, tls_key=key),
        admin=AdminSection(token_file=str(tmp_path / "token")),
        keystore=KeystoreSection(path=str(tmp_path / "keystore.db"), passphrase_file=str(tmp_path / "passphrase")),
    )
    assert [path.name for path in find_exposed(config)] == ["keystore.db", "passphrase", "token", "key"]
    for mode in (0o440, 0o660, 0o600):
        for path in tmp_path.iterdir():
            path.chmod(mode)
        assert list(find_exposed(config)) == []
    missing = replace(config, keystore=KeystoreSection(path=str(tmp_path / "none"), passphrase_file="/dev/null"))
    assert list(find_exposed(missing)) == []
