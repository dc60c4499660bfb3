"""What a configuration names outside itself, judged before the node writes anything: files, folders, addresses to listen on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hermes_core.errors import ConfigError
from hermes_node.config.addresses import Address, parse_address
from hermes_node.config.file_modes import refuse_writable
from hermes_node.config.fronts import check_fronts
from hermes_node.config.sections import Config
from hermes_node.errors import ListenError

MIN_TOKEN_BYTES: Final = 16
MAX_TOKEN_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 240
"""A name on Linux has at most 255 bytes, and drafts and logs of a file are called after it."""


def check_surroundings(config: Config) -> None:
    """Raise ConfigError for a setting that cannot work on this machine, ListenError for a port that somebody else has."""
    for field, path in _files(config):
        _read_some(path, field)
    _check_token(config.admin.token_file)
    _check_ready_file(config.node.ready_file)
    _check_keystore_path(config)
    check_fronts(config)
    for field in ("app.listen", "mesh.listen", "admin.listen"):
        section, _, name = field.partition(".")
        if text := getattr(getattr(config, section), name):
            _try_to_listen(parse_address(text, field), field)


def _files(config: Config) -> Iterator[tuple[str, str]]:
    app, mesh, keystore = config.app, config.mesh, config.keystore
    yield from (("app.tls_cert", app.tls_cert), ("app.tls_key", app.tls_key), ("app.tls_client_ca", app.tls_client_ca))
    if config.mesh_enabled:
        yield from (("mesh.tls_cert", mesh.tls_cert), ("mesh.tls_key", mesh.tls_key), ("mesh.tls_ca", mesh.tls_ca))
    yield "keystore.passphrase_file", keystore.passphrase_file


def _read_some(path: str, field: str, size: int = 1) -> bytes | None:
    """None of what is no regular file: what is read of a pipe is gone for whoever it is meant for."""
    if not path:
        return None
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            _only_look(path, field)
            return None
        refuse_writable(found, path, field)
        with Path(path).open("rb", buffering=0) as stream:
            return stream.read(size)
    except OSError as error:
        raise ConfigError(field, f"cannot read {path}: {error.strerror}") from None


def _only_look(path: str, field: str) -> None:
    if Path(path).is_dir() or not os.access(path, os.R_OK):
        raise ConfigError(field, f"cannot read {path}")


def _check_token(path: str) -> None:
    token = _read_some(path, "admin.token_file", MAX_TOKEN_BYTES + 1)
    if token is not None and not MIN_TOKEN_BYTES <= len(token.strip()) <= MAX_TOKEN_BYTES:
        raise ConfigError("admin.token_file", f"{path} must hold {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} bytes")


def _check_ready_file(path: str) -> None:
    if not path:
        return
    folder = Path(path).parent
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.is_dir():
        raise ConfigError("node.ready_file", f"cannot write to {folder}")
    if not _can_be_a_file(Path(path)):
        raise ConfigError("node.ready_file", f"{path} cannot be the name of a file")


def _can_be_a_file(path: Path) -> bool:
    return 0 < len(os.fsencode(path.name)) <= MAX_NAME_BYTES and not path.is_dir()


def _check_keystore_path(config: Config) -> None:
    """Only what no volume can cure: a full or unreadable one is the keystore's to tell."""
    field, path = "keystore.path" if config.keystore.path else "node.data_dir", config.keystore_path
    with contextlib.suppress(PermissionError):
        try:
            if not _can_be_a_file(path):
                raise ConfigError(field, f"{path} cannot be the name of a file")
            above = next(folder for folder in path.absolute().parents if folder.exists())
        except OSError as error:
            raise error if isinstance(error, PermissionError) else ConfigError(field, f"{path}: {error.strerror}") from None
        if not above.is_dir():
            raise ConfigError(field, f"{above} is not a folder")


def _try_to_listen(address: Address, field: str) -> None:
    """One address behind the name is enough, as it is for who listens."""
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        found, failure = [], error
    for family, kind, protocol, _, target in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(target)
        except OSError as error:
            failure = error
        else:
            return
    problem = f"cannot listen on {address}: {failure.strerror}"
    raise ListenError(f"{field}: {problem}") if failure.errno == errno.EADDRINUSE else ConfigError(field, problem)
