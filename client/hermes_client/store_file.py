"""The file of an app's store: what is kept of identity and chats, as records and back. Everything here blocks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from hermes_client.errors import StoreError
from hermes_client.host import ClientHost
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
from hermes_core.values import dataclass
from hermes_keystore import Keystore, Table

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


class StoreFile:
    """Owns the open keystore, the passphrase that opens it, and the identity in it. One thread at a time."""

    def __init__(self, path: Path, passphrase: SecretBytes, argon2: Argon2Params | None) -> None:
        """The passphrase is wiped by `close`."""
        self._path = path
        self._passphrase = passphrase
        self._argon2 = argon2
        self._keystore: Keystore | None = None
        self._identity: Identity | None = None

    @property
    def is_open(self) -> bool:
        return self._keystore is not None

    @property
    def keystore(self) -> Keystore:
        """StoreError before `open` and after `close`."""
        if self._keystore is None:
            raise StoreError("the store is not open")
        return self._keystore

    def open(self, identity: Identity | None, host: ClientHost) -> KeptState:
        """Open or make the file, read everything."""
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

    def close(self) -> None:
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
        stored = self.keystore.get(*_IDENTITY)
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
        keystore = self.keystore
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

    def read_own(self) -> dict[bytes, bytes]:
        own: dict[bytes, bytes] = {}
        for key, value in self.keystore.load(Table.APP_OWN):
            own[key] = bytes(value)
            wipe_buffer(value)
        return own

    def write_own(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes]) -> None:
        records = {(Table.APP_OWN, key): value for key, value in puts.items()}
        self.keystore.commit(records, {(Table.APP_OWN, key) for key in deletes})

    def commit(self, changes: KeptChanges) -> None:
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
            self.keystore.commit(puts, deletes)
        finally:
            changes.wipe()
            for value in puts.values():
                if isinstance(value, bytearray):
                    wipe_buffer(value)

    def keep_mark(self, came: NodeMarkRecord, gone: NodeMarkRecord | None) -> None:
        puts = {(Table.APP_MARK, mark_key(came)): encode_node_mark(came)}
        self.keystore.commit(puts, () if gone is None else ((Table.APP_MARK, mark_key(gone)),))

    def keep_stamp(self, stamp: int) -> None:
        if self._identity is not None:
            self._put_identity(self._identity, stamp)

    def _put_identity(self, identity: Identity, stamp: int) -> None:
        value = _encode_identity(identity, stamp)
        try:
            self.keystore.commit({_IDENTITY: value})
        finally:
            wipe_buffer(value)


def _encode_identity(identity: Identity, stamp: int) -> bytearray:
    """Its record, which the caller wipes."""
    kept = AppIdentity(identity.seed(), stamp)
    try:
        return encode_app_identity(kept)
    finally:
        kept.seed.wipe()
