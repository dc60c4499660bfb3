"""The default StorageClass, and the small provisioner behind it: a folder on this machine for each claim.

Run as a process of its own (`python -m tests.e2e.harness.storage RUN_DIR KUBECTL`); ends on SIGTERM.
The volumes are of the kind `local`, not `hostPath`, because kubelet applies a pod's fsGroup only to the former.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .kubectl import Kubectl
from .paths import CHECKOUT, RunDir
from .processes import Processes
from .service_loop import repeat_until_term
from .versions import NODE_NAME, STORAGE_CLASS

if TYPE_CHECKING:
    from .kubectl import Manifest

NAME = "provisioner"
PROVISIONER = "hermes-e2e.invalid/folder"
POLL_S = 0.5
CREATED_BY = "pv.kubernetes.io/provisioned-by"


def storage_class() -> Manifest:
    """Return the default class; volumes bind at once, since there is one node only."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def start(run_dir: RunDir, kubectl: Kubectl) -> None:
    """Create the class and start the provisioner."""
    kubectl.apply(storage_class())
    argv = [sys.executable, "-m", "tests.e2e.harness.storage", str(run_dir.root), str(kubectl.program)]
    Processes(run_dir).start(NAME, argv, env={"PYTHONPATH": str(CHECKOUT)})


@dataclass(frozen=True)
class Provisioner:
    """One look at claims and volumes, and what follows from it; safe to repeat."""

    run_dir: RunDir
    kubectl: Kubectl

    def reconcile(self) -> None:
        """Give every waiting claim a volume, and delete every released volume with its folder."""
        listed = self.kubectl.get("persistentvolumeclaims,persistentvolumes", "--all-namespaces")
        items: list[Manifest] = (listed or {}).get("items", [])
        volumes = {item["metadata"]["name"]: item for item in items if item["kind"] == "PersistentVolume"}
        for claim in items:
            if claim["kind"] == "PersistentVolumeClaim" and _waits(claim) and volume_name(claim) not in volumes:
                self._provision(claim)
        for name, volume in volumes.items():
            if _is_released(volume):
                self._delete(name)

    def _provision(self, claim: Manifest) -> None:
        folder = self.run_dir.volumes / volume_name(claim)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # like a fresh cloud disk after fsGroup: the pod's user decides
        self.kubectl.apply(build_volume(claim, folder))

    def _delete(self, name: str) -> None:
        shutil.rmtree(self.run_dir.volumes / name, ignore_errors=True)
        self.kubectl.run("delete", "persistentvolume", name, "--wait=false", "--ignore-not-found")


def volume_name(claim: Manifest) -> str:
    """Return the volume's name: of the claim's uid, so a claim made again gets a fresh volume."""
    return f"pvc-{claim['metadata']['uid']}"


def build_volume(claim: Manifest, folder: Path) -> Manifest:
    """Return the volume that serves a claim."""
    meta = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {CREATED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "local": {"path": str(folder)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}]}
                    ]
                }
            },
        },
    }


def _waits(claim: Manifest) -> bool:
    return (
        claim.get("status", {}).get("phase") == "Pending"
        and claim["spec"].get("storageClassName") == STORAGE_CLASS
        and "deletionTimestamp" not in claim["metadata"]
    )


def _is_released(volume: Manifest) -> bool:
    ours = volume["metadata"].get("annotations", {}).get(CREATED_BY) == PROVISIONER
    deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return ours and deletes and volume.get("status", {}).get("phase") in {"Released", "Failed"}


def main() -> None:
    """Reconcile until told to end."""
    run_dir = RunDir(Path(sys.argv[1]))
    provisioner = Provisioner(run_dir, Kubectl(Path(sys.argv[2]), run_dir.kubeconfig))
    repeat_until_term(provisioner.reconcile, every_s=POLL_S)


if __name__ == "__main__":
    main()
