"""Fuzz targets for the records of an app's store: KeystoreError only, and what is accepted is written again as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hermes_core.errors import KeystoreError
from hermes_core.keystore.app_notice_codec import encode_app_ended, encode_node_mark, parse_app_ended, parse_node_mark
from hermes_core.keystore.app_record_codec import (
    encode_app_chat,
    encode_app_identity,
    encode_outgoing,
    parse_app_chat,
    parse_app_identity,
    parse_outgoing,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "app_record.json"


def fuzz_app_record(data: bytes) -> None:
    """An identity, a chat, an end to tell, a node's mark, a message that is not acknowledged: by the first byte."""
    kind, value = data[:1], data[1:]
    try:
        if kind == b"i":
            assert encode_app_identity(parse_app_identity(value)) == value
        elif kind == b"c":
            record = parse_app_chat(value)
            assert encode_app_chat(record) == value
            record.wipe()
        elif kind == b"e":
            assert encode_app_ended(parse_app_ended(value)) == value
        elif kind == b"m":
            assert encode_node_mark(parse_node_mark(value)) == value
        else:
            assert encode_outgoing(parse_outgoing(value)) == value
    except KeystoreError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {"app-record": fuzz_app_record}


def make_seeds() -> dict[str, list[bytes]]:
    vectors = json.loads(VECTORS.read_text())
    kinds = (b"i", "identities"), (b"c", "chats"), (b"o", "outgoing"), (b"e", "ended"), (b"m", "marks")
    return {"app-record": [kind + bytes.fromhex(case["value"]) for kind, name in kinds for case in vectors[name][:3]]}
