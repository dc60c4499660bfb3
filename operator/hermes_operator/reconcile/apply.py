"""Carrying out the actions of a plan, one after the other. Secret values are made here, where they are stored at once."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from hermes_operator.certificates.authority import build_ca
from hermes_operator.certificates.renewal import renew_certificates
from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube, KubeError
from hermes_operator.kube.event import Event
from hermes_operator.manifests.objects import Manifest, object_key
from hermes_operator.manifests.secrets import (
    build_admin_secret,
    build_ca_secret,
    build_passphrase_secret,
    build_tls_secret,
)
from hermes_operator.nodes.client import NodeClient, NodeError
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.observe.secrets import carries_label
from hermes_operator.plan.actions import (
    Action,
    ApplyObject,
    CreateAdminToken,
    CreateCa,
    CreatePassphrase,
    DeleteObject,
    GrowClaim,
    Problem,
    RenewCertificates,
    SetFinalizers,
    WipePods,
    name_taken,
)
from hermes_operator.spec import MeshSpec

logger = logging.getLogger(__name__)

# 256 bits: no guessing, whatever the cost of Argon2id.
_SECRET_BYTES = 32


class Applier:
    """Carries out one plan; `problems` and `events` say what went otherwise than planned, `wiped` how many nodes erased."""

    def __init__(self, api: Kube, nodes: NodeClient, mesh: MeshSpec, seen: Observed, cluster_domain: str) -> None:
        self._api = api
        self._nodes = nodes
        self._mesh = mesh
        self._seen = seen
        self._cluster_domain = cluster_domain
        self.problems: list[Problem] = []
        self.events: list[Event] = []
        self.wiped = 0

    async def prepare(self, actions: Sequence[Action]) -> tuple[Action, ...]:
        """Find out what cannot be done, before the status is stored, and return what is left to do.

        Volumes grow here: that depends on no rollout, and whether it is allowed shows only when it is tried.
        """
        left: list[Action] = []
        for action in actions:
            if isinstance(action, GrowClaim):
                await self._grow_claim(action)
            elif not isinstance(action, ApplyObject) or await self._may_apply(action.manifest):
                left.append(action)
        return tuple(left)

    async def apply_all(self, actions: Sequence[Action]) -> None:
        for action in actions:
            logger.info("apply", extra={"action": type(action).__name__, "target": _target(action), "mesh": self._mesh.name})
            await self._apply(action)

    async def _apply(self, action: Action) -> None:
        match action:
            case ApplyObject(manifest):
                await self._api.apply(manifest)
            case CreatePassphrase():
                secret = build_passphrase_secret(self._mesh, secrets.token_urlsafe(_SECRET_BYTES).encode())
                await self._api.create(secret)
            case CreateAdminToken():
                await self._api.apply(build_admin_secret(self._mesh, secrets.token_urlsafe(_SECRET_BYTES).encode()))
            case CreateCa():
                pair = build_ca(self._mesh, self._seen.now)
                await self._api.apply(build_ca_secret(self._mesh, pair.certificate, pair.key))
            case RenewCertificates(pods):
                await self._renew_certificates(pods)
            case DeleteObject():
                await self._api.delete(kinds.find_kind(action.kind), self._mesh.namespace, action.name)
            case SetFinalizers(finalizers):
                await self._set_finalizers(finalizers)
            case WipePods(pods):
                await self._wipe(pods)

    async def _may_apply(self, manifest: Manifest) -> bool:
        return object_key(manifest) in self._seen.objects or await self._is_free(manifest)

    async def _is_free(self, manifest: Manifest) -> bool:
        """Whether this name can be taken: an object of that name that somebody else made is not taken over."""
        kind, name = object_key(manifest)
        found = await self._api.get(kinds.kind_of(manifest), self._mesh.namespace, name)
        if found is None or carries_label(found, self._mesh.name):
            return True
        self.problems.append(name_taken(kind, name))
        return False

    async def _renew_certificates(self, pods: tuple[str, ...]) -> None:
        ca, files = self._seen.secrets.ca, self._seen.secrets.tls_files
        if ca is None:
            return
        # Keys are generated: not on the event loop, which also renews the lease.
        renewed = await asyncio.to_thread(renew_certificates, self._mesh, files, ca, self._seen.now, self._cluster_domain)
        await self._api.apply(build_tls_secret(self._mesh, renewed))
        if any(f"{pod}.crt" in files for pod in pods):
            self.events.append(Event("CertificatesRenewed", f"New certificates for {', '.join(pods)}"))

    async def _grow_claim(self, action: GrowClaim) -> None:
        patch = {"spec": {"resources": {"requests": {"storage": action.size}}}}
        try:
            await self._api.merge(kinds.CLAIMS, self._mesh.namespace, action.name, patch)
        except KubeError as error:
            if not error.invalid:
                raise
            message = (
                f"claim {action.name} cannot grow to {action.size}: {error}; set allowVolumeExpansion on its storage class"
            )
            self.problems.append(Problem("VolumeCannotGrow", message))
        else:
            self.events.append(Event("VolumeGrows", f"Claim {action.name} grows to {action.size}"))

    async def _set_finalizers(self, finalizers: tuple[str, ...]) -> None:
        patch = {"metadata": {"uid": self._mesh.uid, "finalizers": list(finalizers)}}
        await self._api.merge(kinds.MESHES, self._mesh.namespace, self._mesh.name, patch)

    async def _wipe(self, pods: tuple[PodView, ...]) -> None:
        token = self._seen.secrets.bearer
        results = await asyncio.gather(*(self._nodes.wipe(pod.ip, token) for pod in pods), return_exceptions=True)
        for pod, result in zip(pods, results, strict=True):
            if result is None:
                self.wiped += 1
                self.events.append(Event("KeystoreWiped", f"{pod.name} erased its keystore"))
            elif isinstance(result, NodeError):
                message = f"{pod.name} did not erase its keystore ({result}); its volume is deleted all the same"
                self.events.append(Event("KeystoreNotWiped", message, warning=True))
            else:
                raise result


def _target(action: Action) -> str:
    match action:
        case ApplyObject(manifest):
            return "/".join(object_key(manifest))
        case DeleteObject():
            return f"{action.kind}/{action.name}"
        case GrowClaim():
            return action.name
        case RenewCertificates(pods):
            return ",".join(pods)
        case WipePods(pods):
            return ",".join(pod.name for pod in pods)
        case _:
            return ""
