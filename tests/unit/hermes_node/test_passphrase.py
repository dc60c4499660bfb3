"""The passphrase: read to its end, one rule wherever it comes from, and what an editor did to it is told with a cure."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import io
import os
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ConfigError
from hermes_node.keystore import passphrase
from hermes_node.keystore.passphrase import MAX_PASSPHRASE_BYTES, read_passphrase, take_passphrase

ENVIRONMENT = "HERMES_KEYSTORE_PASSPHRASE"


def _from_file(content: bytes, folder: Path) -> SecretBytes:
    path = folder / "passphrase"
    path.write_bytes(content)
    return read_passphrase(str(path), {ENVIRONMENT: "weaker"})


def _from_environment(content: bytes, _folder: Path) -> SecretBytes:
    return read_passphrase("", {ENVIRONMENT: os.fsdecode(content)})


def _typed(content: bytes, _folder: Path) -> SecretBytes:
    return take_passphrase(bytearray(content), "the passphrase")


Source = Callable[[bytes, Path], SecretBytes]
every_source = pytest.mark.parametrize("read", [_from_file, _from_environment, _typed])


@every_source
@pytest.mark.parametrize("words", [b"words", b" two words ", b"no UTF-8: \xff", b"\xc3\xbc", b"x" * MAX_PASSPHRASE_BYTES])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_one_line_end_is_dropped(read: Source, words: bytes, ending: bytes, tmp_path: Path) -> None:
    secret = read(words + ending, tmp_path)
    assert bytes(secret.buffer) == words
    secret.wipe()


@every_source
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "1 to 4096 bytes|is required"),
        (b"\n", "1 to 4096 bytes"),
        (b"\r\n", "1 to 4096 bytes"),
        (b"x" * (MAX_PASSPHRASE_BYTES + 1), "1 to 4096 bytes"),
        (b"x" * (MAX_PASSPHRASE_BYTES + 1) + b"\r\n", "1 to 4096 bytes"),
        (b"x" * (3 * MAX_PASSPHRASE_BYTES), "1 to 4096 bytes"),
        (b"\xef\xbb\xbfwords\n", "byte order mark: save it as plain UTF-8"),
        (b"\xff\xfew", "UTF-16: save it as plain UTF-8"),
        (b"\xfe\xffw", "UTF-16: save it as plain UTF-8"),
        (b"words\n\n", "more than one line"),
        (b"\nwords", "more than one line"),
        (b"words\r", "more than one line"),
        (b"words\nmore\n", "more than one line"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_cure(read: Source, content: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        read(content, tmp_path)
    assert caught.value.field == "keystore.passphrase_file"
    assert "words" not in str(caught.value)


@pytest.mark.parametrize("read", [_from_file, _typed])  # no environment holds a NUL
@pytest.mark.parametrize("content", [b"wo\0rds", "words\n".encode("utf-16-le"), "words\n".encode("utf-16-be")])
def test_nul_is_refused(read: Source, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a NUL, as UTF-16 does"):
        read(content, tmp_path)


def test_the_environments_passphrase_is_taken_out_of_it(tmp_path: Path) -> None:
    environment = {ENVIRONMENT: "words"}
    read_passphrase("", environment)
    assert environment == {}
    environment = {ENVIRONMENT: "words"}
    with pytest.raises(ConfigError, match=os.strerror(21)):
        read_passphrase(str(tmp_path), environment)
    assert environment == {}


def test_what_was_read_is_wiped() -> None:
    for content in (b"words\n", b"two\nlines"):
        found = bytearray(content)
        with contextlib.suppress(ConfigError):
            take_passphrase(found, "it")
        assert found == bytes(len(content))


class Breaking(io.BytesIO):
    """Fails once it gave what it has."""

    def readinto(self, into: Any) -> int:
        return super().readinto(into) or self._fail()

    def _fail(self) -> NoReturn:
        raise OSError(errno.EIO, "broken")


@pytest.mark.parametrize("broken", [False, True])
def test_no_buffer_of_the_file_keeps_it(broken: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "words").touch()
    made: list[bytearray] = []

    def make(length: int) -> bytearray:
        made.append(bytearray(length))
        return made[-1]

    monkeypatch.setattr(passphrase, "bytearray", make, raising=False)
    monkeypatch.setattr(Path, "open", lambda *_, **__: (Breaking if broken else io.BytesIO)(b"words"))
    with pytest.raises(ConfigError, match=r"Input/output") if broken else contextlib.nullcontext():
        words = read_passphrase(str(tmp_path / "words"), {})
        assert words.buffer == b"words"
    assert len(made) == (1 if broken else 2)
    assert not any(map(any, made))


@pytest.mark.parametrize("pieces", [(b"first half", b", second half\n"), (b"x" * 4000, b"y" * 96), (b"a", b"b", b"c\r\n")])
def test_a_pipe_is_read_to_its_end(pieces: tuple[bytes, ...], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            for piece in pieces:
                stream.write(piece)
                while _waits_in(stream.fileno()):  # the reader has had it before the next one comes
                    time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    secret = read_passphrase(str(pipe), {})
    writer.join(timeout=10)
    assert bytes(secret.buffer) == b"".join(pieces).rstrip(b"\r\n")


def test_standard_input_is_read_to_its_end() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"words\n")
    os.close(theirs)
    assert bytes(read_passphrase(f"/dev/fd/{ours}", {}).buffer) == b"words"
    os.close(ours)


def _waits_in(pipe: int) -> bool:
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] > 0
