"""An app's sealed store: its identity, its chats and what nobody has acknowledged yet, in one encrypted file of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hermes_client.arguments import take
from hermes_client.errors import StoreError
from hermes_client.host import ClientHost
from hermes_client.store_file import KeptState, StoreFile
from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.keystore.app_record import NodeMarkRecord
from hermes_core.keystore.rotation_timer import RotationParams, RotationTimer
from hermes_core.keystore.tables import MAX_KEY_BYTES, MAX_VALUE_BYTES
from hermes_core.values import dataclass
from hermes_keystore.rotation_loop import RotationLoop

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreParams(Limited):
    """How a store forgets; `hermes_core.limits` says what each field means."""

    erase_within_s: limits.EraseWithinS = default(limits.EraseWithinS)
    rotate_interval_s: limits.RotateIntervalS = default(limits.RotateIntervalS)
    rotate_after_deletes: limits.RotateAfterDeletes = default(limits.RotateAfterDeletes)


class AppStore:
    """`HermesClient(store=AppStore("app.db", passphrase))`: chats outlive the process, killed or not.

    The file is made when there is none. One process has it open at a time: KeystoreLockedError for a second one. What it
    raises are the errors of docs/reference/errors.md under "Keystore"; after one nothing more is written.
    """

    def __init__(
        self,
        path: str | Path,
        passphrase: str | bytes | bytearray | SecretBytes,
        *,
        argon2: Argon2Params | None = None,
        executor: Executor | None = None,
        erase_within_s: float = StoreParams().erase_within_s,
    ) -> None:
        """`argon2`: what the passphrase's key costs; `executor`: its owner's, of one thread, which does everything that blocks.

        `erase_within_s`: what was deleted (a message that was acknowledged, a chat that ended, keys that were used) opens to
        nobody so long after, and after the next start at once; LimitError when that is out of bounds.
        """
        self._params = StoreParams(erase_within_s)
        self._file = StoreFile(Path(path), _take_passphrase(passphrase), argon2)
        self._owns_executor = executor is None
        self._executor = ThreadPoolExecutor(1, "hermes-store") if executor is None else take(Executor, executor, "executor")
        self._closing: asyncio.Future[None] | None = None
        self._used = False

    async def open(self, identity: Identity | None, host: ClientHost) -> KeptState:
        """Open or make the file, read everything. `identity`: of a new store; StoreError when it is not the stored one's."""
        if self._used:
            raise StoreError("a store is opened once: make another AppStore for the next client")
        self._used = True
        self._check_open()
        opening = asyncio.get_running_loop().run_in_executor(self._executor, lambda: self._file.open(identity, host))
        try:
            return await asyncio.shield(opening)  # the thread goes on when the caller is cancelled: it is waited for
        except BaseException:
            opening.add_done_callback(_wipe_kept)
            await self.close()
            raise

    async def commit(self, changes: KeptChanges) -> None:
        """Everything in one transaction, durable when this returns. Wipes the changes in any case."""
        await self._run(lambda: self._file.commit(changes))

    async def keep_stamp(self, stamp: int) -> None:
        """Keep the stamp of a Connect that is about to leave."""
        await self._run(lambda: self._file.keep_stamp(stamp))

    async def read_own(self) -> dict[bytes, bytes]:
        """What the app has written of its own, by key. The store is open while its client is; StoreError before and after."""
        self._check_open(opened=True)
        return await self._run(self._file.read_own)

    async def write_own(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes] = ()) -> None:
        """Write and delete records of the app's own in one transaction, durable when this returns; a key in both is put.

        Keys have at most 255 bytes, values at most 1 MiB: ValueError for more. Whoever writes what a message says before its
        `ack()` has it exactly once: one that comes again is in here already.
        """
        self._check_open(opened=True)
        for key, value in puts.items():
            if len(take(bytes, key, "a key")) > MAX_KEY_BYTES or len(take(bytes, value, "a value")) > MAX_VALUE_BYTES:
                raise ValueError(f"a key has at most {MAX_KEY_BYTES} bytes, a value {MAX_VALUE_BYTES}")
        records, gone = dict(puts), frozenset(deletes)  # as they are now
        await self._run(lambda: self._file.write_own(records, gone))

    async def keep_mark(self, came: NodeMarkRecord, gone: NodeMarkRecord | None) -> None:
        """Keep what a node says of its own keystore, to hand it back in whichever start; `gone` makes room for it."""
        await self._run(lambda: self._file.keep_mark(came, gone))

    async def rotate(self, now: Callable[[], float]) -> None:
        """Erase what is deleted, slice by slice beside commits, until cancelled; raises what a file that fails does."""
        params, keystore = self._params, self._file.keystore
        rotation = RotationParams(params.rotate_interval_s, params.erase_within_s, params.rotate_after_deletes)
        timer = RotationTimer(rotation, now())
        await RotationLoop(keystore, lambda: self._run(keystore.rotate_slice), timer, now, bool).run()

    async def close(self) -> None:
        """Close the file, after whatever the thread does just now; harmless when repeated, goes on when it is cancelled."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(self._executor, self._file.close)
            if self._owns_executor and isinstance(self._executor, ThreadPoolExecutor):
                self._executor.shutdown(wait=False)
        await asyncio.shield(self._closing)

    async def _run(self, work: Callable[[], T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _check_open(self, *, opened: bool = False) -> None:
        if self._closing is not None or (opened and not self._file.is_open):
            raise StoreError("the store is not open")


def _wipe_kept(opening: asyncio.Future[KeptState]) -> None:
    """What was read for nobody."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().wipe_chats()
        opening.result().identity.wipe()


def _take_passphrase(passphrase: str | bytes | bytearray | SecretBytes) -> SecretBytes:
    """A copy of our own to wipe; ValueError for none, TypeError for what is no passphrase."""
    if isinstance(passphrase, SecretBytes):
        return passphrase.copy()
    if not isinstance(passphrase, str | bytes | bytearray):
        raise TypeError(f"a passphrase is str, bytes or SecretBytes, not {type(passphrase).__name__}")
    if not passphrase:
        raise ValueError("the passphrase is empty")
    return SecretBytes.take(bytearray(passphrase) if not isinstance(passphrase, str) else _encode_passphrase(passphrase))


def _encode_passphrase(passphrase: str) -> bytearray:
    """As UTF-8; what the environment or an argument had as other bytes is those bytes again, as nodes take it.

    ValueError for what is no text at all: Python's own error would hold the passphrase.
    """
    with suppress(UnicodeEncodeError):
        return bytearray(passphrase.encode(errors="surrogateescape"))
    raise ValueError("the passphrase is text that has no UTF-8; give it as bytes")
