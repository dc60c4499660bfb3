"""Events that follow from a change of the status: readiness, and what needs a cure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes_operator.kube.event import Event
from hermes_operator.observe.failures import KEYSTORE_REASONS

# Phases in which nodes are away on purpose.
_EXPECTED = frozenset({"RollingOut", "Deleting"})
# The rollout tells of its own halt; the conditions ResumeVerified and KeystoresSealed of theirs.
_TOLD_ELSEWHERE = frozenset({"RolloutHalted", "ResumeFailed"}) | KEYSTORE_REASONS


def transition_events(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Event, ...]:
    """What a person should be told of when one status replaces the other."""
    old = {condition["type"]: condition for condition in before.get("conditions") or []}
    events: list[Event] = []
    for condition in after.get("conditions") or []:
        was = old.get(condition["type"], {}).get("status", "")
        if was == condition["status"]:
            continue
        event = _transition_event(condition, was, expected=after.get("phase") in _EXPECTED)
        if event is not None:
            events.append(event)
    return tuple(events)


def _transition_event(condition: Mapping[str, Any], was: str, *, expected: bool) -> Event | None:
    kind, now, reason, message = condition["type"], condition["status"], condition["reason"], condition["message"]
    if kind == "Ready" and now == "True":
        return Event("MeshReady", message)
    if kind == "Ready" and was == "True" and not expected:
        return Event("MeshNotReady", message, warning=True)
    if kind == "KeystoresSealed" and now == "True":
        return Event("KeystoreProblem", message, warning=True)
    if kind == "ResumeVerified" and now == "False":
        return Event("ResumeFailed", message, warning=True)
    if kind == "Degraded" and now == "True" and reason not in _TOLD_ELSEWHERE:
        return Event("NodeProblem", message, warning=True)
    return None
