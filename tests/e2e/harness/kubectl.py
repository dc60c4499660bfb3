"""Talking to any of the clusters through kubectl: the same way for all three kinds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .commands import attempt, run
from .wait import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """A kubectl program together with the cluster it is pointed at."""

    program: Path
    kubeconfig: Path

    def argv(self, *words: str) -> list[str]:
        """Return the full command, for callers that start it themselves."""
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", *words]

    def run(self, *words: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
        """Run kubectl and return what it printed."""
        return run(self.argv(*words), stdin=stdin, timeout_s=timeout_s, cure="see `cluster.py status` and the logs")

    def attempt(self, *words: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run kubectl and return how it ended, whatever that was."""
        return attempt(self.argv(*words), timeout_s=timeout_s)

    def get(self, *words: str) -> Manifest | None:
        """Return an object or a list as JSON; None when it is not there (or the server is not)."""
        done = self.attempt("get", *words, "-o", "json")
        if done.returncode != 0:
            return None
        parsed: Manifest = json.loads(done.stdout)
        return parsed

    def apply(self, *manifests: Manifest) -> None:
        """Apply manifests by server-side apply, which needs no bookkeeping on the object."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(bundle))

    def exec(self, namespace: str, pod: str, *words: str, container: str | None = None) -> str:
        """Run a program inside a pod and return what it printed."""
        where = ["-c", container] if container else []
        return self.run("exec", "-n", namespace, pod, *where, "--", *words)

    def wait_pod_ready(self, namespace: str, pod: str, *, within_s: float = 60.0) -> Manifest:
        """Return the pod once its Ready condition holds."""
        return until(
            f"readiness of pod {namespace}/{pod}",
            lambda: _ready_or_none(self.get("pod", "-n", namespace, pod)),
            within_s=within_s,
            cure=f"kubectl --kubeconfig={self.kubeconfig} describe pod -n {namespace} {pod}",
            poll_s=0.2,
        )

    def start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start a kubectl that goes on (port-forward, logs -f); the caller ends it."""
        return subprocess.Popen(
            self.argv(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def is_ready(manifest: Manifest | None) -> bool:
    """Say whether the Ready condition of a pod or node is true."""
    conditions = (manifest or {}).get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _ready_or_none(manifest: Manifest | None) -> Manifest | None:
    return manifest if is_ready(manifest) else None
