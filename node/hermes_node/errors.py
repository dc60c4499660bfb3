"""What stops a node process: each failure has a code word, an exit code and a cure, told on one line."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import ClassVar, Final

from hermes_core.errors import ConfigError, HermesError, KeystoreError

TERMINATION_LOG: Final = Path("/dev/termination-log")
"""Kubernetes shows what a container wrote here before it ended as its termination message."""


class NodeError(HermesError):
    """The node cannot start or go on; the keystore's own failures are `KeystoreError`."""

    code: ClassVar[str] = "NODE_ERROR"
    exit_code: ClassVar[int] = 70
    cure: ClassVar[str] = ""


class CertificateError(NodeError):
    """A certificate, key or CA file cannot be used."""

    code = "TLS_FILES"
    exit_code = 81
    cure = "check that the file exists, is readable PEM, and that certificate, key and CA belong together"


class ListenError(NodeError):
    """An address cannot be listened on."""

    code = "LISTEN_FAILED"
    exit_code = 80
    cure = "free the port, or listen on another one"


class FrontsError(NodeError):
    """A front, which serves apps' connections, could not be started."""

    code = "FRONTS_FAILED"
    exit_code = 84
    cure = "look for what the system lacks (processes, memory), or set app.fronts = 0"


class IdentityConflictError(NodeError):
    """Another process proved just now that it has this node's key: a keystore was copied, and both run."""

    code = "IDENTITY_CONFLICT"
    exit_code = 83
    cure = "find the other process and end the one whose keystore is the copy; each node has a keystore and a name of its own"


def describe_failure(error: HermesError) -> tuple[int, str]:
    """The exit code and the one line (`CODE: detail; cure`) for people and for the operator."""
    if isinstance(error, ConfigError):
        return error.exit_code, f"CONFIG_INVALID: {error.detail}; cure: correct this setting (docs/reference/configuration.md)"
    if isinstance(error, KeystoreError | NodeError):
        summary = (type(error).__doc__ or "").strip().splitlines()[0].rstrip(".")
        return error.exit_code, f"{error.code}: {error.detail or summary}; cure: {error.cure}"
    return NodeError.exit_code, f"NODE_ERROR: {error.detail or type(error).__name__}"


def report_failure(line: str) -> None:
    """Write the line to standard error, and to the container's termination message where there is one."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"hermes-node: {line}\n")
        sys.stderr.flush()
    with contextlib.suppress(OSError):
        if TERMINATION_LOG.exists() and os.access(TERMINATION_LOG, os.W_OK):
            TERMINATION_LOG.write_text(line + "\n")
