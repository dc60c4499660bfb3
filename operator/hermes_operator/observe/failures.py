"""Why a node's container is not running: exit codes of the node, and what the kubelet says, each with its cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hermes_core.errors import (
    ConfigError,
    KeystoreBadPassphraseError,
    KeystoreError,
    KeystoreIOError,
    KeystoreLockedError,
    KeystoreMissingError,
    KeystoreRolledBackError,
    KeystoreTamperedError,
    KeystoreTooCostlyError,
    KeystoreUnsupportedVersionError,
)

MAX_MESSAGE_CHARS = 512

_KEYSTORE_ERRORS: dict[int, type[KeystoreError]] = {
    error.exit_code: error
    for error in (
        KeystoreBadPassphraseError,
        KeystoreTamperedError,
        KeystoreUnsupportedVersionError,
        KeystoreIOError,
        KeystoreLockedError,
        KeystoreMissingError,
        KeystoreRolledBackError,
        KeystoreTooCostlyError,
    )
}
# A second start meets the same file and the same configuration: waiting does not help.
_PERMANENT = frozenset(_KEYSTORE_ERRORS) - {KeystoreIOError.exit_code, KeystoreLockedError.exit_code} | {ConfigError.exit_code}

# The kubelet alternates between the two while nothing changes.
_PULL = "ImagePullFailed"
_SAME = {"ImagePullBackOff": _PULL, "ErrImagePull": _PULL}
_WAITING_CURES = {
    _PULL: "check spec.image and spec.imagePullSecrets",
    "ErrImageNeverPull": "load the image on the Kubernetes node, or change spec.imagePullPolicy",
    "InvalidImageName": "correct spec.image",
    "CreateContainerConfigError": "check that the Secrets the pod mounts exist",
    "CreateContainerError": "look at the pod's events",
    "RunContainerError": "look at the pod's events",
    "CrashLoopBackOff": "look at the log of the pod's previous container",
}


def _camel_case(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))


# Reasons of conditions that speak of a keystore that did not open; the last two are the operator's own findings.
KEYSTORE_REASONS = frozenset(_camel_case(error.code) for error in _KEYSTORE_ERRORS.values()) | {
    "PassphraseMissing",
    "PassphraseLost",
}


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """`reason`: one CamelCase word. `keystore`: the keystore did not open. `permanent`: no further start will change it."""

    reason: str
    message: str
    keystore: bool = False
    permanent: bool = False


def read_failure(phase: str, container: Mapping[str, Any]) -> NodeFailure | None:
    """The failure that a container status shows; None while it runs, starts, or stopped in good order."""
    state = container.get("state") or {}
    if "running" in state and container.get("ready"):
        return None
    waiting = (state.get("waiting") or {}).get("reason", "")
    waiting = _SAME.get(waiting, waiting)
    terminated = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    exit_code = terminated.get("exitCode", 0)
    if exit_code in _KEYSTORE_ERRORS or exit_code == ConfigError.exit_code:
        return _node_failure(exit_code, terminated)
    if waiting in _WAITING_CURES:
        detail = _last_line((state.get("waiting") or {}).get("message", "")).rpartition("ErrImagePull: ")[2] or waiting
        if waiting == "CrashLoopBackOff" and exit_code:
            detail = f"exit code {exit_code}: {_last_line(terminated.get('message', '')) or terminated.get('reason', '')}"
        return NodeFailure(waiting, f"{detail}; {_WAITING_CURES[waiting]}")
    if phase == "Failed":
        return NodeFailure("PodFailed", "the pod failed; look at its events")
    return None


def _node_failure(exit_code: int, terminated: Mapping[str, Any]) -> NodeFailure:
    said = _last_line(terminated.get("message", ""))
    permanent = exit_code in _PERMANENT
    if exit_code == ConfigError.exit_code:
        return NodeFailure("NodeConfigInvalid", said or "the node refuses its configuration", permanent=permanent)
    error = _KEYSTORE_ERRORS[exit_code]
    message = said if error.cure in said else f"{said or error.code}; {error.cure}"
    return NodeFailure(_camel_case(error.code), message, keystore=True, permanent=permanent)


def _last_line(text: str) -> str:
    """What the node said last; lines of its JSON log are not meant for people."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("{")]
    return lines[-1][:MAX_MESSAGE_CHARS] if lines else ""
