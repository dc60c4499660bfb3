"""Everything secret that a copy of a keystore holds, by name, read with the independent reference."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from hermes_client.scenario.local_mesh import LocalNode
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.floor import FLOOR_KEY
from hermes_keystore import Table
from hermes_node.keystore.identity import IDENTITY_KEY
from tests.reference import keystore_reference as reference
from tests.support.volumes import copy_volume

GENERATION_PURPOSES = ("record", "state", "row key", "set digest")
MASTER_PURPOSES = ("header seal", "header mac")
Secrets = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Image:
    """`in_use`: what an open keystore needs in memory; `passing`: keys that only unseal others, and the passphrase.

    `chats`: by chat id, the secrets of its hops. `torn`: by chat id, pieces of its encoded record that reach from one secret
    into the next, so that no channel in memory holds them: only the record as a whole does.
    """

    generation: int
    in_use: Secrets
    passing: Secrets
    seed: bytes
    floor_key: bytes
    chats: dict[bytes, Secrets]
    torn: dict[bytes, Secrets]

    @property
    def of_chats(self) -> Secrets:
        return {name: value for secrets in self.chats.values() for name, value in secrets.items()}

    @property
    def of_records(self) -> Secrets:
        return {name: value for pieces in self.torn.values() for name, value in pieces.items()}

    @property
    def everything(self) -> Secrets:
        return self.in_use | self.passing | {"seed": self.seed, "floor key": self.floor_key} | self.of_chats | self.of_records


def take_image(node: LocalNode, passphrase: str, folder: Path) -> Image:
    """Of a node that commits nothing meanwhile, running or not. `folder` is made for the copy."""
    copy_volume(node, folder)
    path, secret = folder / node.keystore_path.name, passphrase.encode()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the reference reads the database alone
    (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    kek, master, generation_key = reference.unwrap_keys(raw, secret)
    _, generation, _ = reference.unwrap_header(raw, secret)
    in_use = {"master key": master}
    in_use |= {f"{purpose} {generation}": reference.subkey(generation_key, purpose) for purpose in GENERATION_PURPOSES}
    passing = {"passphrase": secret, "kek": kek, f"generation key {generation}": generation_key}
    passing |= {purpose: reference.subkey(master, purpose) for purpose in MASTER_PURPOSES}
    records = reference.read_keystore(path, secret)
    values = {table_key[2]: value for table_key, value in records.items() if table_key[0] == Table.CHAT}
    by_key = {key: value for (_, _, key), value in records.items()}
    return Image(
        generation,
        in_use,
        passing,
        seed=by_key[IDENTITY_KEY],
        floor_key=by_key[FLOOR_KEY][1:],
        chats={chat_id: _secrets(value) for chat_id, value in values.items()},
        torn={chat_id: _torn(value) for chat_id, value in values.items()},
    )


def _secrets(value: bytes) -> Secrets:
    return {name: value[at : at + 32] for name, at in _places(value)}


def _torn(value: bytes) -> Secrets:
    """What lies around each border between two secrets; between ratchet and chain keys there are 8 bytes of position."""
    found = {}
    for name, at in _places(value):
        begins = at - (8 if "chain" in name else 0)
        found[f"record around {name}"] = value[begins - 16 : at + 16]
    return found


def _places(value: bytes) -> list[tuple[str, int]]:
    """Name and offset of every secret."""
    record = parse_chat_record(value)
    places = []
    for side, channel in enumerate(record.sides):
        for epoch in filter(None, (channel.current, channel.pending)):
            named = {
                "mac": epoch.mac,
                "ratchet": epoch.ratchet,
                "send chain": epoch.send.chain_key,
                "recv chain": epoch.recv.chain_key,
            }
            where = f"of epoch {epoch.epoch}, side {side} of {record.chat_id.hex()[:8]}"
            places += [(f"{name} {where} at {at}", at) for name, at in ((n, value.find(s.buffer)) for n, s in named.items())]
    record.wipe()
    return places
