"""The keystore's file: one SQLite database a node or an app, every value sealed (docs/reference/keystore.md)."""

from hermes_core.keystore.key_backend import KeyBackend, PassphraseBackend
from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.tables import Table
from hermes_keystore.store import Keystore

__all__ = ["KeyBackend", "Keystore", "KeystoreMark", "PassphraseBackend", "Table"]
