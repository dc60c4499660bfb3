"""StatefulSet of a mesh: parallel pods, and a partition that the rollout owns."""

from __future__ import annotations

import math

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.config import config_hash
from hermes_operator.manifests.objects import Manifest, build_metadata
from hermes_operator.manifests.pod import build_container, build_volumes

USER_ID = 65532
# A node stops its listeners, seals and closes within this, after its apps had the drain timeout to leave.
SHUTDOWN_MARGIN_S = 20


def build_statefulset(
    mesh: MeshSpec, *, partition: int, secrets_hash: str, claim_size: str | None = None, replicas: int | None = None
) -> Manifest:
    """The StatefulSet.

    `replicas`: more than the spec says while nodes that leave still hold chats. `partition`: ordinal from which on pods get
    this template. `secrets_hash`: keyed hash of the Secrets a node reads once. `claim_size`: size in the volume claim template
    when it already exists, since that can't change; the claims themselves grow.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": build_metadata(mesh, mesh.name),
        "spec": {
            "replicas": mesh.replicas if replicas is None else replicas,
            "serviceName": names.headless_service(mesh.name),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": names.selector_labels(mesh.name)},
            "template": build_pod_template(mesh, secrets_hash),
            "volumeClaimTemplates": [_build_volume_claim(mesh, claim_size or mesh.keystore.size)],
        },
    }


def build_pod_template(mesh: MeshSpec, secrets_hash: str) -> Manifest:
    """The pod template; the same spec must give the same template in every version of the operator."""
    annotations = dict(mesh.pod.annotations)
    annotations[names.ANNOTATION_CONFIG] = config_hash(mesh)
    annotations[names.ANNOTATION_SECRETS] = secrets_hash
    if mesh.restarted_at:
        annotations[names.ANNOTATION_RESTARTED] = mesh.restarted_at
    return {
        "metadata": {
            "labels": dict(mesh.pod.labels) | names.object_labels(mesh.name),
            "annotations": annotations,
        },
        "spec": _build_pod_spec(mesh),
    }


def _build_pod_spec(mesh: MeshSpec) -> Manifest:
    pod = mesh.pod
    spec: Manifest = {
        "serviceAccountName": mesh.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": math.ceil(mesh.cleanup.drain_timeout_s) + SHUTDOWN_MARGIN_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            # A keystore volume has one large file: do not walk it at every start.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": dict(pod.affinity) if pod.affinity is not None else _default_affinity(mesh),
        "containers": [build_container(mesh)],
        "volumes": build_volumes(mesh),
    }
    if pod.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pod.image_pull_secrets]
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in pod.tolerations]
    if pod.topology_spread_constraints:
        selector = {"labelSelector": {"matchLabels": names.selector_labels(mesh.name)}}
        spec["topologySpreadConstraints"] = [selector | dict(constraint) for constraint in pod.topology_spread_constraints]
    if pod.priority_class_name:
        spec["priorityClassName"] = pod.priority_class_name
    return spec


def _default_affinity(mesh: MeshSpec) -> Manifest:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": names.selector_labels(mesh.name)}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _build_volume_claim(mesh: MeshSpec, size: str) -> Manifest:
    # Only labels that select: others might change with a version of the operator, and this template cannot.
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if mesh.keystore.storage_class_name is not None:
        spec["storageClassName"] = mesh.keystore.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": names.VOLUME_CLAIM, "labels": names.selector_labels(mesh.name)},
        "spec": spec,
    }
