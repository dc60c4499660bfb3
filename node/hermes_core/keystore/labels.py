"""Every domain-separation label of the keystore; two uses of one key never share a label."""

from __future__ import annotations

from typing import Final

WRAP: Final = b"hermes/keystore/v1 wrap"
"""AAD of the wrapped master key."""

HEADER_SEAL: Final = b"hermes/keystore/v1 header seal"
"""Subkey of the master key that seals the generation; also the AAD's first part."""

HEADER_MAC: Final = b"hermes/keystore/v1 header mac"
"""Subkey of the master key that authenticates the header."""

RECORD: Final = b"hermes/keystore/v1 record"
"""Subkey of the generation key that seals records; also the AAD's first part."""

STATE: Final = b"hermes/keystore/v1 state"
"""Subkey of the generation key that seals counter and set digest; also the AAD's first part."""

TWO_GENERATIONS: Final = b"hermes/keystore/v2 generations"
"""AAD of the sealed generations in a header of version 2, which has two."""

TWO_STATES: Final = b"hermes/keystore/v2 state"
"""AAD of the sealed state while two generations live."""

ROW_KEY: Final = b"hermes/keystore/v1 row key"
"""Subkey of the generation key that hides record keys on disk."""

SET_DIGEST: Final = b"hermes/keystore/v1 set digest"
"""Subkey of the generation key for the incremental digest over all rows."""

FLOOR: Final = b"hermes/keystore/v2 floor"
"""AAD of the sealed floor, whose key is a record of its own: it outlives generations and passphrases."""

MARK: Final = b"hermes/v2 keystore mark"
"""Signed by a node over where its keystore stands."""
