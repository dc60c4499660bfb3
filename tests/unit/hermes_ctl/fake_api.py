"""What the fake API server of these tests answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MESHES = "/apis/hermesmesh.io/v1alpha1/namespaces/chat/hermesmeshes"

DEMO: dict[str, Any] = {
    "apiVersion": "hermesmesh.io/v1alpha1",
    "kind": "HermesMesh",
    "metadata": {"name": "demo", "namespace": "chat", "uid": "u1"},
    "spec": {"replicas": 2, "image": "registry.example/hermes:1"},
    "status": {
        "replicasReady": "2/2",
        "epochsResumed": "5/5",
        "phase": "Running",
        "version": "0.1.0",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AllReady", "message": "all nodes are ready"},
            {"type": "ResumeVerified", "status": "False", "reason": "Missing", "message": "2 chats did not resume"},
        ],
        "members": [
            {"pod": "demo-0", "liveChats": 5, "resumedChats": 5, "lostChats": 0, "keystoreGeneration": 3}
            | {"keystoreCommitCounter": 42, "resumeVerdict": "RESUMED", "identityFingerprint": "abcd"},
            {"pod": "demo-1"},
        ],
        "rollout": {"step": "Idle"},
    },
}


@dataclass
class FakeApi:
    """`answers`: path to status and body, or to several that are given one after the other (the last one again and again).

    `requests`: method, path and body of what was asked.
    """

    url: str
    answers: dict[str, tuple[int, Any] | list[tuple[int, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, Any]:
        found = self.answers.get(path, (404, {"kind": "Status", "message": "not found"}))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found
