"""Keystores that cannot be opened: the node says so with its exit code, the HermesMesh shows the condition with the cure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from hermes_core.errors import KeystoreBadPassphraseError, KeystoreError, KeystoreTamperedError
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.faults import container_status, kill_container
from tests.e2e.harness.wait import until
from tests.e2e.phases.context import CONTAINER, SEALED_NAMESPACE, condition, holds, require

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

NAME = "sealed"
POD = f"{NAME}-0"
SECRET = "sealed-passphrase-of-mine"
READY_S = 120.0
FAILURE_S = 120.0
HEAL_S = 180.0
RIGHT, WRONG = b"the passphrase it was made with", b"another passphrase"
# The end of every page but the first, in the database and in its write-ahead log: a page damaged in one of them only
# may never be read.
DAMAGE = """
damage() {
  size=$(stat -c %s "$1"); at=$2
  while [ "$at" -lt "$size" ]; do
    dd if=/dev/urandom of="$1" bs=1 count=64 seek="$at" conv=notrunc status=none; at=$((at + $3))
  done
}
damage "$1/keystore.db" 8128 4096
[ ! -e "$1/keystore.db-wal" ] || damage "$1/keystore.db-wal" 4088 4120
"""


def seal_with_wrong_passphrase(run: Run) -> str:
    """Change the passphrase of a mesh of one node: sealed, with the cure; give it back: healed."""
    _set_passphrase(run, RIGHT)
    run.kubectl.apply(_mesh())
    _await_ready(run, "Ready of the second mesh", READY_S)
    _set_passphrase(run, WRONG)
    run.kubectl.run("delete", "pod", "-n", SEALED_NAMESPACE, POD, "--wait=false")
    _await_failure(run, KeystoreBadPassphraseError)
    _set_passphrase(run, RIGHT)
    _await_ready(run, "Ready after the right passphrase came back", HEAL_S)
    return f"exit code {KeystoreBadPassphraseError.exit_code}, KeystoresSealed=True with the cure, healed by the right one"


def tamper_with_keystore(run: Run) -> str:
    """Damage the file on the node's volume and crash the node: it must not start on it."""
    folder = _volume_folder(run)
    node = str(run.kubectl.wait_pod_ready(SEALED_NAMESPACE, POD)["spec"]["nodeName"])
    done = run.cluster.run_on_node(node, ["sh", "-ec", DAMAGE, "damage", folder])
    require(done.returncode == 0, f"damaging {folder} on {node}: {done.stderr.strip()}", "is the path right?")
    kill_container(run.cluster, SEALED_NAMESPACE, POD, CONTAINER)
    _await_failure(run, KeystoreTamperedError)
    return f"exit code {KeystoreTamperedError.exit_code}, KeystoresSealed=True with the cure"


def _await_failure(run: Run, error: type[KeystoreError]) -> None:
    def ended() -> bool:
        status = container_status(run.kubectl.get("pod", "-n", SEALED_NAMESPACE, POD) or {}, CONTAINER)
        states = (status.get("state", {}), status.get("lastState", {}))
        codes = [state["terminated"]["exitCode"] for state in states if "terminated" in state]
        run.note = f"exit codes of {POD}: {codes}"
        return error.exit_code in codes

    until(
        f"exit of {POD} with {error.exit_code} ({error.code})",
        ended,
        within_s=FAILURE_S,
        cure=f"kubectl logs --previous -n {SEALED_NAMESPACE} {POD}",
        poll_s=0.3,
    )
    mesh = run.await_mesh(
        "KeystoresSealed=True",
        lambda mesh: holds(mesh, "KeystoresSealed"),
        within_s=FAILURE_S,
        name=NAME,
        namespace=SEALED_NAMESPACE,
    )
    sealed = condition(mesh, "KeystoresSealed")
    run.write(f"condition-{error.code.lower()}.txt", f"{sealed['reason']}: {sealed['message']}")
    reason = "".join(word.capitalize() for word in error.code.split("_"))
    require(sealed["reason"] == reason, f"the reason of KeystoresSealed is {sealed['reason']}", f"expected {reason}")
    require(error.cure in sealed["message"], f"KeystoresSealed says: {sealed['message']}", f"it lacks the cure: {error.cure}")
    require(not holds(mesh, "Ready"), "the mesh says Ready with a sealed keystore", "look at status.conditions")


def _await_ready(run: Run, what: str, within_s: float) -> None:
    run.await_mesh(
        what,
        lambda mesh: holds(mesh, "Ready") and condition(mesh, "KeystoresSealed").get("status") == "False",
        within_s=within_s,
        name=NAME,
        namespace=SEALED_NAMESPACE,
    )


def _set_passphrase(run: Run, passphrase: bytes) -> None:
    run.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": SEALED_NAMESPACE},
            "data": {"passphrase": base64.b64encode(passphrase).decode()},
        }
    )


def _mesh() -> Manifest:
    return {
        "apiVersion": "hermesmesh.io/v1alpha1",
        "kind": "HermesMesh",
        "metadata": {"name": NAME, "namespace": SEALED_NAMESPACE},
        "spec": {
            "replicas": 1,
            "keystore": {"size": "64Mi", "retentionPolicy": "Delete", "passphraseSecretRef": {"name": SECRET}},
        },
    }


def _volume_folder(run: Run) -> str:
    claim = run.kubectl.get("pvc", "-n", SEALED_NAMESPACE, f"keystore-{POD}") or {}
    volume = run.kubectl.get("pv", str(claim.get("spec", {}).get("volumeName"))) or {}
    for kind in ("local", "hostPath"):
        path = volume.get("spec", {}).get(kind, {}).get("path")
        if path:
            return str(path)
    raise HarnessError(f"the volume of {POD} is no folder on a node", "run with a storage class of folders, as kind has")
