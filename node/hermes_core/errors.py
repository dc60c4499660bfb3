"""The one error tree of Hermes: every failure an outsider can cause has a stable code and a scope."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

MAX_DETAIL_CHARS = 256


class ErrorCode(IntEnum):
    """Wire codes; numbers equal `hermes.v2.ErrorCode` and never change meaning. Those left out are reserved there."""

    INVALID_FRAME = 1
    AUTH_FAILED = 2
    INVALID_KEY = 3
    REPLAYED_KEY = 4
    REPLAYED_FRAME = 5
    KEY_MISMATCH = 6
    KEY_VERSION_MISMATCH = 7
    CHAT_NOT_FOUND = 9
    CHAT_EXISTS = 10
    CHAT_NOT_READY = 11
    TARGET_NOT_FOUND = 13
    TARGET_OFFLINE = 14
    ROUTE_UNAVAILABLE = 15
    REKEY_REQUIRED = 16
    REKEY_THROTTLED = 17
    HANDSHAKE_THROTTLED = 18
    RATCHET_DESYNC = 19
    RATCHET_FAILED = 20
    ROLLBACK_DETECTED = 21
    BACKPRESSURE = 22
    LIMIT_EXCEEDED = 23
    KEYSTORE_SEALED = 24
    DRAINING = 25
    UNSUPPORTED = 26
    INTERNAL = 27
    SESSION_REPLACED = 28
    OFFER_OUTDATED = 29
    CLOCK_SKEW = 30
    STAMP_OUTDATED = 31


class ErrorScope(IntEnum):
    """What an error ends; numbers equal `hermes.v2.ErrorScope`."""

    FRAME = 1
    CHAT = 2
    STREAM = 3


class HermesError(Exception):
    """Root of every error Hermes raises on purpose. `detail` is for people and never holds a secret."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail[:MAX_DETAIL_CHARS]


class ProtocolError(HermesError):
    """A peer broke, or could not be served by, the protocol.

    `code` says what, `scope` what it ends, `retry_after_ms` (0: no hint) when to try again.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        scope: ErrorScope | None = None,
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.scope = DEFAULT_SCOPE[code] if scope is None else scope
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        return f"{self.code.name}: {self.detail}" if self.detail else self.code.name

    def __repr__(self) -> str:
        """As tracebacks of tasks and test runners show it: the code is what counts, and most have no detail."""
        return f"{type(self).__name__}({str(self)!r})"


class KeystoreError(HermesError):
    """A keystore could not be used; no byte of its file was changed."""

    code: ClassVar[str] = "KEYSTORE_ERROR"
    exit_code: ClassVar[int] = 70
    cure: str = ""

    def __init__(self, detail: str = "", *, cure: str = "") -> None:
        """`cure`: what to do about this very case, when it is not what the class says."""
        super().__init__(detail)
        if cure:
            self.cure = cure


class KeystoreBadPassphraseError(KeystoreError):
    """The passphrase does not open this keystore."""

    code = "KEYSTORE_BAD_PASSPHRASE"
    exit_code = 71
    cure = "give the passphrase this keystore was made with (keystore.passphrase_file or HERMES_KEYSTORE_PASSPHRASE)"


class KeystoreTamperedError(KeystoreError):
    """The keystore's content is not what was written."""

    code = "KEYSTORE_TAMPERED"
    exit_code = 72
    cure = "keep the file for examination, restore the newest intact volume, or start with an empty one (its chats must rekey)"


class KeystoreUnsupportedVersionError(KeystoreError):
    """The keystore was written by a newer Hermes."""

    code = "KEYSTORE_UNSUPPORTED_VERSION"
    exit_code = 73
    cure = "run the Hermes version that wrote it, or a newer one"


class KeystoreIOError(KeystoreError):
    """The volume failed: full, read-only, or an I/O error."""

    code = "KEYSTORE_IO"
    exit_code = 74
    cure = "check that the volume is mounted writable and has free space"


class KeystoreLockedError(KeystoreError):
    """Another process has this keystore open."""

    code = "KEYSTORE_LOCKED"
    exit_code = 75
    cure = "stop the other process that uses this file; one node, one keystore"


class KeystoreMissingError(KeystoreError):
    """There is no keystore at this path."""

    code = "KEYSTORE_MISSING"
    exit_code = 76
    cure = "run `hermesctl keystore init`, or let the node create it (keystore.create = true)"


class KeystoreRolledBackError(KeystoreError):
    """The keystore is an older copy of itself, and the node was told to end for that."""

    code = "KEYSTORE_ROLLED_BACK"
    exit_code = 77
    cure = "put the newest volume back; or set keystore.on_rollback = quarantine, after which every chat of it must rekey"


class KeystoreTooCostlyError(KeystoreError):
    """The keystore asks for much more of Argon2id than is configured."""

    code = "KEYSTORE_TOO_COSTLY"
    exit_code = 82
    cure = (
        "if it was made so: configure the costs it was made with, or set keystore.argon2_any_cost (`hermesctl keystore`:"
        " --any-cost); if not, somebody changed the file: keep it for examination"
    )


class KeystoreExistsError(KeystoreError):
    """There is something at this path already; a keystore is never overwritten."""

    code = "KEYSTORE_EXISTS"
    exit_code = 79
    cure = "open the keystore that is there, choose another path, or move the file away"


class ConfigError(HermesError):
    """The configuration is wrong; `field` is the dotted path of the setting, `problem` what is wrong with it."""

    exit_code: ClassVar[int] = 78  # EX_CONFIG of sysexits.h

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.problem = detail


DEFAULT_SCOPE: dict[ErrorCode, ErrorScope] = {
    ErrorCode.INVALID_FRAME: ErrorScope.FRAME,
    ErrorCode.AUTH_FAILED: ErrorScope.FRAME,
    ErrorCode.INVALID_KEY: ErrorScope.FRAME,
    ErrorCode.REPLAYED_KEY: ErrorScope.FRAME,
    ErrorCode.REPLAYED_FRAME: ErrorScope.FRAME,
    ErrorCode.KEY_MISMATCH: ErrorScope.CHAT,
    ErrorCode.KEY_VERSION_MISMATCH: ErrorScope.FRAME,
    ErrorCode.CHAT_NOT_FOUND: ErrorScope.CHAT,
    ErrorCode.CHAT_EXISTS: ErrorScope.FRAME,
    ErrorCode.CHAT_NOT_READY: ErrorScope.FRAME,
    ErrorCode.TARGET_NOT_FOUND: ErrorScope.CHAT,
    ErrorCode.TARGET_OFFLINE: ErrorScope.CHAT,
    ErrorCode.ROUTE_UNAVAILABLE: ErrorScope.CHAT,
    ErrorCode.REKEY_REQUIRED: ErrorScope.FRAME,
    ErrorCode.REKEY_THROTTLED: ErrorScope.FRAME,
    ErrorCode.HANDSHAKE_THROTTLED: ErrorScope.FRAME,
    ErrorCode.RATCHET_DESYNC: ErrorScope.CHAT,
    ErrorCode.RATCHET_FAILED: ErrorScope.CHAT,
    ErrorCode.ROLLBACK_DETECTED: ErrorScope.CHAT,
    ErrorCode.BACKPRESSURE: ErrorScope.FRAME,
    ErrorCode.LIMIT_EXCEEDED: ErrorScope.FRAME,
    ErrorCode.KEYSTORE_SEALED: ErrorScope.STREAM,
    ErrorCode.DRAINING: ErrorScope.FRAME,
    ErrorCode.UNSUPPORTED: ErrorScope.CHAT,
    ErrorCode.INTERNAL: ErrorScope.FRAME,
    ErrorCode.SESSION_REPLACED: ErrorScope.STREAM,
    ErrorCode.OFFER_OUTDATED: ErrorScope.FRAME,
    ErrorCode.CLOCK_SKEW: ErrorScope.CHAT,
    ErrorCode.STAMP_OUTDATED: ErrorScope.STREAM,
}
