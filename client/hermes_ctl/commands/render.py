"""hermesctl render: the manifests that the operator makes of a HermesMesh, for review and GitOps."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import Any

import yaml

from hermes_ctl.assets import find_asset
from hermes_ctl.crd_check import find_problems, load_schema
from hermes_ctl.errors import CtlError
from hermes_ctl.kube import Json
from hermes_operator import names
from hermes_operator.crd_spec import parse_mesh
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.wanted import build_objects

MAX_FILE_BYTES = 4 * 1024 * 1024

_EPILOG = """examples:
  hermesctl render -f mesh.yaml                       what the operator will make of it (Secrets are made in the cluster)
  hermesctl render -f mesh.yaml | kubectl diff -f -
  kubectl get hm demo -o yaml | hermesctl render -f -
  hermesctl render --crds | kubectl apply --server-side -f -
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "render",
        help="print the manifests of a mesh",
        description="Print what the operator makes of a HermesMesh, without a cluster. Secrets are made in the cluster only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-f", "--file", metavar="FILE", help="YAML with HermesMesh objects; - reads standard input")
    what.add_argument("--crds", action="store_true", help="print the CustomResourceDefinitions instead")
    parser.add_argument("-n", "--namespace", default="default", help="for objects that name none (default: default)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.crds:
        documents = [path.read_text() for path in sorted(find_asset("crds").glob("*.yaml"))]
        sys.stdout.write("---\n".join(documents))
        return 0
    meshes = [body for body in _read_documents(options.file) if body.get("kind") == names.KIND]
    if not meshes:
        raise CtlError(f"{options.file} holds no {names.KIND}; see docs/examples/hermesmesh.yaml")
    manifests = [manifest for body in meshes for manifest in build_manifests(body, options.namespace)]
    yaml.safe_dump_all(manifests, sys.stdout, sort_keys=False, explicit_start=True)
    return 0


def build_manifests(body: Json, namespace: str) -> list[Json]:
    """What the operator would apply for this HermesMesh in a cluster that has nothing of it yet."""
    problem = next(find_problems(body.get("spec", {}), load_schema()["properties"]["spec"], "spec"), None)
    if problem is not None:
        raise CtlError(f"{body.get('metadata', {}).get('name', 'HermesMesh')}: {problem}")
    try:
        placed = body | {"metadata": {"namespace": namespace, **body["metadata"]}}
        mesh = parse_mesh(placed)
        seen = Observed(now=dt.datetime.now(dt.UTC), objects={}, pod_monitor_api=mesh.pod_monitor.enabled)
        return [_without_owner(manifest) for manifest in build_objects(mesh, seen, partition=mesh.replicas)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CtlError(f"this {names.KIND} is not valid ({reason}); `kubectl apply --dry-run=server` names the field") from None


def _without_owner(manifest: Json) -> Json:
    """An owner's uid is known only in the cluster."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    return manifest | {"metadata": metadata}


def _read_documents(file: str) -> list[Json]:
    try:
        text = sys.stdin.read(MAX_FILE_BYTES) if file == "-" else Path(file).read_text()
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise CtlError(f"cannot read {file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise CtlError(f"{file} is not YAML: {error}") from None
    lists = [document["items"] for document in documents if isinstance(document, dict) and document.get("kind") == "List"]
    plain = [document for document in documents if isinstance(document, dict) and document.get("kind") != "List"]
    return [*plain, *(item for items in lists for item in items)]
