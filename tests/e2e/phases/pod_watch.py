"""Every change of a mesh's pods in the order in which the API server stored it, and what can be read from that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.harness.kubectl import is_ready
from tests.e2e.harness.wait import until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.e2e.harness.kubectl import Kubectl

START_S = 30.0
END_S = 10.0


@dataclass(frozen=True)
class PodState:
    """A pod at one moment. `up`: ready, and not on its way out."""

    name: str
    uid: str
    up: bool


Change = tuple[str, PodState]  # what happened: ADDED, MODIFIED, DELETED


class PodWatch:
    """Watches from the moment the block is entered until it is left; nothing between is missed."""

    def __init__(self, kubectl: Kubectl, namespace: str, selector: str, expected: int) -> None:
        self._kubectl = kubectl
        self._words = ["get", "pods", "-n", namespace, "-l", selector, "--watch", "--output-watch-events", "-o", "json"]
        self._expected = expected
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        self._process = self._kubectl.start(self._words)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until("the first look at the pods", self._begun, within_s=START_S, cure=f"kubectl {' '.join(self._words)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=END_S)
        self._reader.join(timeout=END_S)

    def _begun(self) -> bool:
        return len(self.changes) >= self._expected

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # one event a line
            event = json.loads(line)
            self.changes.append((event["type"], read_pod(event["object"])))


def read_pod(pod: dict[str, Any]) -> PodState:
    """Return the state of a pod's manifest."""
    meta = pod["metadata"]
    return PodState(meta["name"], meta["uid"], is_ready(pod) and "deletionTimestamp" not in meta)


def find_down_together(changes: Iterable[Change], names: Iterable[str]) -> frozenset[str]:
    """Return the largest set of those pods that were not up at one moment, from the first moment all were."""
    wanted = set(names)
    up: dict[str, bool] = {}
    worst: frozenset[str] = frozenset()
    whole = False
    for kind, pod in changes:
        up[pod.name] = pod.up and kind != "DELETED"
        down = frozenset(name for name in wanted if not up.get(name))
        whole = whole or not down
        if whole and len(down) > len(worst):
            worst = down
    return worst


def order_of_replacement(changes: Iterable[Change]) -> list[str]:
    """Return the names of the pods that were replaced, in that order."""
    uids: dict[str, str] = {}
    replaced = []
    for kind, pod in changes:
        if kind == "DELETED":
            continue
        if uids.setdefault(pod.name, pod.uid) != pod.uid:
            uids[pod.name] = pod.uid
            replaced.append(pod.name)
    return replaced
