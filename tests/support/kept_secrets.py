"""Keeps alive whatever holds a secret, so that a test sees what was wiped: the last reference would wipe it anyway.

with keeping_secrets() as kept:
    master = backend.unwrap(wrapped, context)
assert kept.left(master) == []
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.xaead import open_xchacha, seal_xchacha
from hermes_core.keystore import header, labels
from hermes_core.keystore.chat_record_codec import encode_chat_record
from hermes_core.keystore.floor import FLOOR_KEY, encode_floor_key
from hermes_core.keystore.migration import migrate_value
from hermes_core.keystore.tables import FILE_ID_BYTES, Table

MAKERS = (encode_chat_record, encode_floor_key, migrate_value, open_xchacha)
"""What hands out a bytearray with secrets in it, the last one not always."""


def holds_secrets(aad: bytes, plaintext: bytearray) -> bool:
    """Of a box of the keystore: not those of counters, names and marks, which nobody wipes."""
    if not aad.startswith(labels.RECORD):
        return not aad.startswith(labels.FLOOR)
    table = aad[len(labels.RECORD) + FILE_ID_BYTES + 8]
    is_floor_key = table == Table.HISTORY and plaintext.startswith(FLOOR_KEY, 1)
    return table in {Table.IDENTITY, Table.CHAT} or is_floor_key


class KeptSecrets:
    """`left`: who made what is not zero, of all but the secrets that were to be handed out."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, bytearray | bytes]] = []
        self._alive: list[SecretBytes] = []

    def __len__(self) -> int:
        return len(self._kept)

    def left(self, *handed_out: SecretBytes) -> list[str]:
        allowed = {id(secret.buffer) for secret in handed_out}
        return [maker for maker, buffer in self._kept if id(buffer) not in allowed and any(buffer)]

    def keep(self, secret: SecretBytes, length: int) -> None:
        self._alive.append(secret)
        self._kept.append((f"SecretBytes({length})", secret.buffer))

    def recorded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            if function is not open_xchacha or holds_secrets(args[3], made):
                self._kept.append((function.__name__, made))
            return made

        return record

    def recorded_plaintext(self, seal: Callable[..., Any]) -> Callable[..., Any]:
        def record(key: SecretBytes, nonce: bytes, plaintext: bytearray, aad: bytes) -> bytearray:
            self._kept.append(("plaintext", plaintext))
            sealed: bytearray = seal(key, nonce, plaintext, aad)
            return sealed

        return record


@contextmanager
def keeping_secrets() -> Iterator[KeptSecrets]:
    """What is made inside, by any module of the product."""
    kept = KeptSecrets()
    begin = SecretBytes.__init__

    def init(self: SecretBytes, length: int) -> None:
        begin(self, length)
        kept.keep(self, length)

    with ExitStack() as patches:
        patches.enter_context(patch.object(SecretBytes, "__init__", init))
        patches.enter_context(patch.object(hmac, "digest", kept.recorded(hmac.digest)))
        patches.enter_context(patch.object(header, "seal_xchacha", kept.recorded_plaintext(seal_xchacha)))
        for maker in MAKERS:
            for module in [module for name, module in sys.modules.items() if name.startswith("hermes_")]:
                if getattr(module, maker.__name__, None) is maker:
                    patches.enter_context(patch.object(module, maker.__name__, kept.recorded(maker)))
        yield kept
