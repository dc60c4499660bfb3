"""Manifests that the API server itself must refuse, naming the field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.harness.errors import HarnessError
from tests.e2e.phases.context import MESH, NAMESPACE, require

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run


@dataclass(frozen=True)
class BadManifest:
    """`spec` is sent, `path` and `words` must be in the answer. With `change` it is sent as a change of the live mesh."""

    spec: dict[str, Any]
    path: str
    words: str
    change: bool = False
    name: str = "refused"


BAD = (
    BadManifest({"replicas": 0}, "spec.replicas", "greater than or equal to 1"),
    BadManifest({"replicas": "three"}, "spec.replicas", "must be of type integer"),
    BadManifest({"keystore": {"size": "0"}}, "spec.keystore.size", "above zero"),
    BadManifest({"keystore": {"size": "plenty"}}, "spec.keystore.size", "quantity"),
    BadManifest({"keystore": {"rotationInterval": "daily"}}, "spec.keystore.rotationInterval", "duration"),
    BadManifest({"cleanup": {"idleTimeout": "1 day"}}, "spec.cleanup.idleTimeout", "duration"),
    BadManifest({"crypto": {"suites": ["x25519-md5"]}}, "spec.crypto.suites", "x25519-sha256"),
    BadManifest({"crypto": {"window": 4096, "maxSkip": 16}}, "spec.crypto.window", "maxSkip"),
    BadManifest({"keystore": {"retentionPolicy": "Shred"}}, "spec.keystore.retentionPolicy", "Retain"),
    BadManifest({"env": [{"name": "HERMES_NODE_ID", "value": "x"}]}, "spec.env[0].name", "set by the operator"),
    BadManifest({"replica": 3}, "spec.replica", "unknown field"),
    BadManifest({}, "metadata.name", "at most 45 characters", name="x" * 46),
    BadManifest({"keystore": {"size": "64Mi"}}, "spec.keystore.size", "cannot shrink", change=True),
    BadManifest({"keystore": {"storageClassName": "other"}}, "spec.keystore", "storageClassName: immutable", change=True),
    BadManifest({"keystore": {"argon2": {"timeCost": 9}}}, "spec.keystore.argon2", "immutable", change=True),
    BadManifest(
        {"keystore": {"passphraseSecretRef": {"name": "other"}}},
        "spec.keystore",
        "passphraseSecretRef: immutable",
        change=True,
    ),
)


def refuse_bad_manifests(run: Run) -> str:
    """Send each; every one must be refused with the path of its field, and change nothing."""
    before = run.mesh()["metadata"]["generation"]
    told = [f"{_send(run, bad)}\n" for bad in BAD]
    run.write("refused-manifests.txt", "\n".join(told))
    meshes = [item["metadata"]["name"] for item in (run.kubectl.get("hm", "-n", NAMESPACE) or {"items": []})["items"]]
    require(meshes == [MESH], f"meshes after bad manifests: {meshes}", "a bad manifest was accepted")
    require(run.mesh()["metadata"]["generation"] == before, "a bad change was stored", "look at the CEL rules of crds/")
    return f"{len(BAD)} refused"


def _send(run: Run, bad: BadManifest) -> str:
    run.note = bad.path
    if bad.change:
        words = ["patch", "hm", MESH, "-n", NAMESPACE, "--type=merge", "-p", json.dumps({"spec": bad.spec})]
        done = run.kubectl.attempt(*words)
    else:
        manifest = run.write("refused-manifest.json", json.dumps(_manifest(bad)))
        done = run.kubectl.attempt("create", "--validate=strict", "-f", str(manifest))
        manifest.unlink()
    answer = " ".join(done.stderr.split())
    if done.returncode == 0:
        raise HarnessError(f"accepted: {bad.spec or bad.name}", f"{bad.path} needs a rule in crds/")
    if bad.path not in answer or bad.words not in answer:
        raise HarnessError(
            f"{bad.spec or bad.name} was refused without {bad.path!r} and {bad.words!r}: {answer}", "see crds/ for its rule"
        )
    return answer


def _manifest(bad: BadManifest) -> dict[str, Any]:
    return {
        "apiVersion": "hermesmesh.io/v1alpha1",
        "kind": "HermesMesh",
        "metadata": {"name": bad.name, "namespace": NAMESPACE},
        "spec": bad.spec,
    }
