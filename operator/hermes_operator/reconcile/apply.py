"""Carrying out one action of a plan. Secret values are made here, where they are stored at once."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import assert_never

from hermes_operator.certificates.authority import build_ca
from hermes_operator.certificates.renewal import renew_certificates
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.kube import kinds
from hermes_operator.kube.event import Event
from hermes_operator.manifests.objects import object_key
from hermes_operator.manifests.secrets import (
    build_admin_secret,
    build_ca_secret,
    build_passphrase_secret,
    build_tls_secret,
)
from hermes_operator.nodes.client import NodeRequestError
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.plan.actions import (
    Action,
    ApplyObject,
    CreateAdminToken,
    CreateCa,
    CreatePassphrase,
    DeleteObject,
    RenewCertificates,
    SetFinalizers,
    WipePods,
)
from hermes_operator.reconcile.context import PassContext

# 256 bits: no guessing, whatever the cost of Argon2id.
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Applied:
    """What an action led to; `wiped`: how many nodes erased their keystore."""

    events: tuple[Event, ...] = ()
    wiped: int = 0


async def apply_action(context: PassContext, mesh: MeshSpec, seen: Observed, action: Action) -> Applied:
    """Each may come again after a crash: what is done already is left as it is."""
    context.log.info("apply", extra={"action": type(action).__name__, "target": _target(action), "mesh": mesh.name})
    api = context.api
    match action:
        case ApplyObject(manifest):
            await api.apply(manifest)
        case CreatePassphrase():
            await api.create(build_passphrase_secret(mesh, _new_secret()))
        case CreateAdminToken():
            await api.apply(build_admin_secret(mesh, _new_secret()))
        case CreateCa():
            pair = build_ca(mesh, seen.now)
            await api.apply(build_ca_secret(mesh, pair.certificate, pair.key))
        case RenewCertificates(pods):
            return await _renew_certificates(context, mesh, seen, pods)
        case DeleteObject():
            await api.delete(kinds.find_kind(action.kind), mesh.namespace, action.name)
        case SetFinalizers(finalizers):
            patch = {"metadata": {"uid": mesh.uid, "finalizers": list(finalizers)}}
            await api.merge(kinds.MESHES, mesh.namespace, mesh.name, patch)
        case WipePods(pods):
            return await _wipe(context, seen, pods)
        case _:
            assert_never(action)
    return Applied()


def _new_secret() -> bytes:
    return secrets.token_urlsafe(_SECRET_BYTES).encode()


async def _renew_certificates(context: PassContext, mesh: MeshSpec, seen: Observed, pods: tuple[str, ...]) -> Applied:
    ca, files = seen.secrets.ca, seen.secrets.tls_files
    if ca is None:
        return Applied()
    # Keys are generated: not on the event loop, which also renews the lease.
    renewed = await asyncio.to_thread(renew_certificates, mesh, files, ca, seen.now, context.cluster_domain)
    await context.api.apply(build_tls_secret(mesh, renewed))
    if not any(f"{pod}.crt" in files for pod in pods):
        return Applied()  # the first ones
    return Applied((Event("CertificatesRenewed", f"New certificates for {', '.join(pods)}"),))


async def _wipe(context: PassContext, seen: Observed, pods: tuple[PodView, ...]) -> Applied:
    token = seen.secrets.bearer
    results = await asyncio.gather(*(context.nodes.wipe(pod.ip, token) for pod in pods), return_exceptions=True)
    events: list[Event] = []
    for pod, result in zip(pods, results, strict=True):
        if result is None:
            events.append(Event("KeystoreWiped", f"{pod.name} erased its keystore"))
        elif isinstance(result, NodeRequestError):
            message = f"{pod.name} did not erase its keystore ({result}); its volume is deleted all the same"
            events.append(Event("KeystoreNotWiped", message, warning=True))
        else:
            raise result
    return Applied(tuple(events), wiped=results.count(None))


def _target(action: Action) -> str:
    match action:
        case ApplyObject(manifest):
            return "/".join(object_key(manifest))
        case DeleteObject():
            return f"{action.kind}/{action.name}"
        case RenewCertificates(pods):
            return ",".join(pods)
        case WipePods(pods):
            return ",".join(pod.name for pod in pods)
        case _:
            return ""
