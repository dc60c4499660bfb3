"""Leader election through a Lease: one operator acts, others stand by. A leader that cannot renew must end its process."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hermes_operator import names
from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube, KubeError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """A standby takes over `duration_s` after the last renewal it saw; a leader gives up before, at `renew_deadline_s`."""

    namespace: str
    name: str
    identity: str
    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


class Elector:
    """Holds, or waits for, one Lease. Times are this machine's monotonic clock: other machines' clocks may differ."""

    def __init__(self, api: Kube, settings: LeaseSettings) -> None:
        self._api = api
        self._settings = settings
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0

    async def acquire(self) -> None:
        """Return once this process is the leader."""
        while True:
            try:
                if await self._try_hold():
                    logger.info("leader", extra={"lease": self._settings.name, "identity": self._settings.identity})
                    return
            except (KubeError, OSError, TimeoutError) as error:
                logger.warning("lease: %s", error)
            await asyncio.sleep(self._settings.retry_s)

    async def hold(self) -> None:
        """Renew until that fails for too long, or somebody else holds the lease; then return. The caller ends the process."""
        renewed_at = time.monotonic()
        while time.monotonic() - renewed_at < self._settings.renew_deadline_s:
            await asyncio.sleep(self._settings.retry_s)
            try:
                async with asyncio.timeout(self._settings.renew_deadline_s / 2):
                    held = await self._try_hold()
            except (KubeError, OSError, TimeoutError) as error:
                logger.warning("lease not renewed: %s", error)
                continue
            if not held:
                logger.error("lease lost to another operator")
                return
            renewed_at = time.monotonic()
        logger.error("lease not renewed within %.0f s", self._settings.renew_deadline_s)

    async def release(self) -> None:
        """Give the lease up, so that a standby need not wait for its end."""
        with suppress(KubeError, OSError, TimeoutError):
            lease = await self._api.get(kinds.LEASES, self._settings.namespace, self._settings.name)
            if lease is not None and _holder(lease) == self._settings.identity:
                await self._api.replace(lease | {"spec": lease["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}})

    async def _try_hold(self) -> bool:
        lease = await self._api.get(kinds.LEASES, self._settings.namespace, self._settings.name)
        if lease is None:
            return await self._api.create(self._build({}, acquired=True))
        record = (_holder(lease), lease["spec"].get("renewTime"), lease["spec"].get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, time.monotonic()
        mine = _holder(lease) == self._settings.identity
        lasts_s = float(lease["spec"].get("leaseDurationSeconds") or self._settings.duration_s)
        if not mine and _holder(lease) and time.monotonic() - self._seen_at < lasts_s:
            return False
        try:
            # The resourceVersion in it makes sure that of two that try only one succeeds.
            await self._api.replace(self._build(lease, acquired=not mine))
        except KubeError as error:
            if error.conflict:
                return False
            raise
        return True

    def _build(self, old: dict[str, Any], *, acquired: bool) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(old.get("spec") or {})
        transitions = spec.get("leaseTransitions", 0) + (1 if acquired and old else 0)
        spec |= {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": round(self._settings.duration_s),
            "renewTime": now,
            "acquireTime": now if acquired else spec.get("acquireTime", now),
            "leaseTransitions": transitions,
        }
        metadata = old.get("metadata") or {
            "name": self._settings.name,
            "namespace": self._settings.namespace,
            "labels": {"app.kubernetes.io/name": names.FIELD_MANAGER},
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _holder(lease: dict[str, Any]) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
