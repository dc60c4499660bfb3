"""Kubernetes Events of a mesh: what `kubectl describe hm` tells a person. An event that cannot be written is only logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.kube.api import Kube, KubeError
from hermes_operator.kube.event import Event
from hermes_operator.times import format_time

logger = logging.getLogger(__name__)

MAX_MESSAGE_CHARS = 1000


class EventRecorder:
    """Writes events in the order in which they happened."""

    def __init__(self, api: Kube, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._last_ns = 0

    async def record(self, mesh: MeshSpec, events: Iterable[Event], now: datetime) -> None:
        for event in events:
            level = logging.WARNING if event.warning else logging.INFO
            logger.log(level, event.message, extra={"reason": event.reason, "namespace": mesh.namespace, "mesh": mesh.name})
            try:
                await self._api.create(self._build(mesh, event, now))
            except (KubeError, OSError, TimeoutError) as error:
                logger.warning("event not written: %s", error, extra={"reason": event.reason, "mesh": mesh.name})

    def _build(self, mesh: MeshSpec, event: Event, now: datetime) -> dict[str, object]:
        stamp = format_time(now)
        # By name is the order in which the API server lists them; their own times are whole seconds.
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{mesh.name}.{self._last_ns:016x}", "namespace": mesh.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": mesh.name,
                "namespace": mesh.namespace,
                "uid": mesh.uid,
            },
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "message": event.message[:MAX_MESSAGE_CHARS],
            "source": {"component": names.FIELD_MANAGER},
            "reportingComponent": f"{names.GROUP}/operator",
            "reportingInstance": self._instance[:128],
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
