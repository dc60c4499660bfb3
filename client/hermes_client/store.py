"""An app's sealed store: its identity, its chats and what nobody has acknowledged yet, in one encrypted file of one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from hermes_client.arguments import take
from hermes_client.errors import StoreError
from hermes_client.host import ClientHost
from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.errors import KeystoreMissingError, KeystoreTamperedError
from hermes_core.ids import ChatId
from hermes_core.keystore.app_notice_codec import (
    encode_app_ended,
    encode_node_mark,
    mark_key,
    parse_app_ended,
    parse_node_mark,
)
from hermes_core.keystore.app_record import (
    AppChatRecord,
    AppIdentity,
    EndedChatRecord,
    NodeMarkRecord,
    OutgoingRecord,
)
from hermes_core.keystore.app_record_codec import (
    IDENTITY_KEY,
    encode_app_chat,
    encode_app_identity,
    encode_outgoing,
    outgoing_key,
    parse_app_chat,
    parse_app_identity,
    parse_outgoing,
)
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.rotation_timer import RotationParams, RotationTimer
from hermes_core.keystore.tables import MAX_KEY_BYTES, MAX_VALUE_BYTES
from hermes_keystore import Keystore, Table
from hermes_keystore.rotation_loop import RotationLoop

T = TypeVar("T")
_log = logging.getLogger("hermes.client")
_IDENTITY = (Table.APP_IDENTITY, IDENTITY_KEY)
_NO_IDENTITY: Final = "put the newest copy of every file of this store back; or move them all away, to begin as a new app"


@dataclass(slots=True)
class KeptChat:
    """A chat as it was kept, and its messages that are not acknowledged, in the order of seq."""

    record: AppChatRecord
    messages: list[OutgoingRecord] = field(default_factory=list)


@dataclass(slots=True)
class KeptState:
    """What a start finds; the reader wipes the chats. `stamp`: of the latest Connect."""

    identity: Identity
    stamp: int
    chats: list[KeptChat]
    ended: list[EndedChatRecord]
    marks: list[NodeMarkRecord]

    def wipe_chats(self) -> None:
        for chat in self.chats:
            chat.record.wipe()


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
        self._path = Path(path)
        self._passphrase = _take_passphrase(passphrase)
        self._argon2 = argon2
        self._owns_executor = executor is None
        self._executor = ThreadPoolExecutor(1, "hermes-store") if executor is None else take(Executor, executor, "executor")
        self._closing: asyncio.Future[None] | None = None
        self._keystore: Keystore | None = None
        self._identity: Identity | None = None
        self._used = False

    async def open(self, identity: Identity | None, host: ClientHost) -> KeptState:
        """Open or make the file, read everything. `identity`: of a new store; StoreError when it is not the stored one's."""
        if self._used:
            raise StoreError("a store is opened once: make another AppStore for the next client")
        self._used = True
        self._check_open()
        opening = asyncio.get_running_loop().run_in_executor(self._executor, lambda: self._open(identity, host))
        try:
            return await asyncio.shield(opening)  # the thread goes on when the caller is cancelled: it is waited for
        except BaseException:
            opening.add_done_callback(_wipe_kept)
            await self.close()
            raise

    async def commit(self, changes: KeptChanges) -> None:
        """Everything in one transaction, durable when this returns. Wipes the changes in any case."""
        await self._run(lambda: self._commit(changes))

    async def keep_stamp(self, stamp: int) -> None:
        """Keep the stamp of a Connect that is about to leave."""
        await self._run(lambda: self._keep_stamp(stamp))

    async def read_own(self) -> dict[bytes, bytes]:
        """What the app has written of its own, by key. The store is open while its client is; StoreError before and after."""
        self._check_open(opened=True)
        return await self._run(self._read_own)

    async def write_own(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes] = ()) -> None:
        """Write and delete records of the app's own in one transaction, durable when this returns; a key in both is put.

        Keys have at most 255 bytes, values at most 1 MiB: ValueError for more. Whoever writes what a message says before its
        `ack()` has it exactly once: one that comes again is in here already.
        """
        self._check_open(opened=True)
        for key, value in puts.items():
            if len(take(bytes, key, "a key")) > MAX_KEY_BYTES or len(take(bytes, value, "a value")) > MAX_VALUE_BYTES:
                raise ValueError(f"a key has at most {MAX_KEY_BYTES} bytes, a value {MAX_VALUE_BYTES}")
        records = {(Table.APP_OWN, key): value for key, value in puts.items()}
        gone = {(Table.APP_OWN, key) for key in deletes}
        await self._run(lambda: self._open_keystore.commit(records, gone))

    async def keep_mark(self, came: NodeMarkRecord, gone: NodeMarkRecord | None) -> None:
        """Keep what a node says of its own keystore, to hand it back in whichever start; `gone` makes room for it."""
        puts = {(Table.APP_MARK, mark_key(came)): encode_node_mark(came)}
        deletes = () if gone is None else ((Table.APP_MARK, mark_key(gone)),)
        await self._run(lambda: self._open_keystore.commit(puts, deletes))

    async def rotate(self, now: Callable[[], float]) -> None:
        """Erase what is deleted, slice by slice beside commits, until cancelled; raises what a file that fails does."""
        params, keystore = self._params, self._open_keystore
        rotation = RotationParams(params.rotate_interval_s, params.erase_within_s, params.rotate_after_deletes)
        timer = RotationTimer(rotation, now())
        await RotationLoop(keystore, lambda: self._run(keystore.rotate_slice), timer, now, bool).run()

    async def close(self) -> None:
        """Close the file, after whatever the thread does just now; harmless when repeated, goes on when it is cancelled."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(self._executor, self._close)
            if self._owns_executor and isinstance(self._executor, ThreadPoolExecutor):
                self._executor.shutdown(wait=False)
        await asyncio.shield(self._closing)

    async def _run(self, work: Callable[[], T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _check_open(self, *, opened: bool = False) -> None:
        if self._closing is not None or (opened and self._keystore is None):
            raise StoreError("the store is not open")

    # in the thread

    @property
    def _open_keystore(self) -> Keystore:
        if self._keystore is None:
            raise StoreError("the store is not open")
        return self._keystore

    def _open(self, identity: Identity | None, host: ClientHost) -> KeptState:
        backend = host.build_backend(self._passphrase, self._argon2)
        try:
            self._keystore = Keystore.open(
                self._path,
                self._passphrase,
                backend=backend,
                connect=host.open_database,
                random=host.random,
                now=host.monotonic,
            )
        except KeystoreMissingError:
            self._keystore = self._create(identity, backend, host)
        if self._keystore.rollback is not None:  # each chat finds out by its peer's claim
            _log.warning("%s is an older copy of itself", self._path)
            self._keystore.settle_rollback()
        kept, stamp = self._open_identity(identity)
        self._identity = kept
        chats = self._read_chats()
        self._keystore.rotate_generation()  # what the former start deleted opens to nobody from here on
        ended = [parse_app_ended(value) for _, value in self._keystore.load(Table.APP_ENDED)]
        ended.sort(key=lambda record: record.ended_s)
        marks = [parse_node_mark(value) for _, value in self._keystore.load(Table.APP_MARK)]
        return KeptState(kept, stamp, chats, ended, marks)

    def _close(self) -> None:
        """The passphrase goes here as well: an opening that was given up may have used it until now."""
        keystore, self._keystore = self._keystore, None
        try:
            if keystore is not None:
                keystore.close()
        finally:
            self._passphrase.wipe()

    def _create(self, given: Identity | None, backend: KeyBackend, host: ClientHost) -> Keystore:
        """With its identity from the first moment on: whoever removes its log, however early, makes no other app of it."""
        identity = given or Identity.generate(host.random)
        value = _encode_identity(identity, 0)
        try:
            return Keystore.create(
                self._path,
                self._passphrase,
                records={_IDENTITY: value},
                backend=backend,
                connect=host.open_database,
                random=host.random,
                now=host.monotonic,
            )
        finally:
            wipe_buffer(value)
            if given is None:
                identity.wipe()

    def _open_identity(self, given: Identity | None) -> tuple[Identity, int]:
        """A copy, whatever was given, and the stamp of the latest Connect."""
        stored = self._open_keystore.get(*_IDENTITY)
        if stored is None:
            raise KeystoreTamperedError("the store holds no identity of an app", cure=_NO_IDENTITY)
        try:
            kept = parse_app_identity(stored)
        finally:
            wipe_buffer(stored)
        try:
            identity = Identity.from_seed(kept.seed)
        finally:
            kept.seed.wipe()
        if given is not None and given.public_key != identity.public_key:
            identity.wipe()
            raise StoreError(f"{self._path} belongs to another identity than the one given")
        return identity, kept.stamp

    def _read_chats(self) -> list[KeptChat]:
        keystore = self._open_keystore
        chats: dict[ChatId, KeptChat] = {}
        for _, value in keystore.load(Table.APP_CHAT):
            try:
                record = parse_app_chat(value)
            finally:
                wipe_buffer(value)
            chats[record.chat_id] = KeptChat(record)
        for _, value in keystore.load(Table.APP_OUTGOING):
            message = parse_outgoing(value)
            if message.chat_id not in chats:
                raise KeystoreTamperedError("a message of no chat")
            chats[message.chat_id].messages.append(message)
        for chat in chats.values():
            chat.messages.sort(key=lambda message: message.seq)
        return list(chats.values())

    def _read_own(self) -> dict[bytes, bytes]:
        own: dict[bytes, bytes] = {}
        for key, value in self._open_keystore.load(Table.APP_OWN):
            own[key] = bytes(value)
            wipe_buffer(value)
        return own

    def _commit(self, changes: KeptChanges) -> None:
        puts: dict[tuple[Table, bytes], bytes | bytearray] = {}
        try:
            for chat_id, record in changes.chats.items():
                puts[Table.APP_CHAT, chat_id] = encode_app_chat(record)
            for (chat_id, seq), message in changes.messages.items():
                puts[Table.APP_OUTGOING, outgoing_key(chat_id, seq)] = encode_outgoing(message)
            for chat_id, ended in changes.owed.items():
                puts[Table.APP_ENDED, chat_id] = encode_app_ended(ended)
            deletes = {(Table.APP_CHAT, bytes(chat_id)) for chat_id in changes.ended}
            deletes |= {(Table.APP_ENDED, bytes(chat_id)) for chat_id in changes.told}
            deletes |= {(Table.APP_OUTGOING, outgoing_key(*key)) for key in changes.acknowledged}
            self._open_keystore.commit(puts, deletes)
        finally:
            changes.wipe()
            for value in puts.values():
                if isinstance(value, bytearray):
                    wipe_buffer(value)

    def _keep_stamp(self, stamp: int) -> None:
        if self._identity is not None:
            self._put_identity(self._identity, stamp)

    def _put_identity(self, identity: Identity, stamp: int) -> None:
        value = _encode_identity(identity, stamp)
        try:
            self._open_keystore.commit({_IDENTITY: value})
        finally:
            wipe_buffer(value)


def _wipe_kept(opening: asyncio.Future[KeptState]) -> None:
    """What was read for nobody."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().wipe_chats()
        opening.result().identity.wipe()


def _encode_identity(identity: Identity, stamp: int) -> bytearray:
    """Its record, which the caller wipes."""
    kept = AppIdentity(identity.seed(), stamp)
    try:
        return encode_app_identity(kept)
    finally:
        kept.seed.wipe()


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
