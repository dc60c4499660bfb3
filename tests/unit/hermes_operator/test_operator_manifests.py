"""Manifests: golden files, a pod template that an operator upgrade must not change, and what Pod Security `restricted` asks."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hermes_node.config.sources import load_config
from hermes_operator import names
from hermes_operator.manifests.objects import canonical_hash, stamp_applied
from hermes_operator.manifests.pod import build_container
from hermes_operator.manifests.policies import build_disruption_budget
from hermes_operator.manifests.secrets import build_passphrase_secret, secrets_hash
from hermes_operator.manifests.statefulset import build_pod_template, build_statefulset
from hermes_operator.observe.secrets import decode_secret
from tests.unit.hermes_operator.golden_manifests import FOLDER, SPECS, render
from tests.unit.hermes_operator.operator_samples import mesh_of

# A new value here restarts every node of every mesh when the operator is upgraded. Do not change it lightly.
TEMPLATE_OF_DEFAULTS = "ee1c35bf8c7485e8"
TEMPLATE_OF_A_RESTART = "d3ff6840b834cbea"


@pytest.mark.parametrize("name", SPECS)
def test_manifests_are_the_golden_ones(name: str) -> None:
    assert render(SPECS[name]) == (FOLDER / f"{name}.yaml").read_text()


def test_every_golden_file_has_a_spec() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SPECS)


def test_pod_template_does_not_change_between_versions_of_the_operator() -> None:
    assert canonical_hash(build_pod_template(mesh_of(), "secret")) == TEMPLATE_OF_DEFAULTS
    restarted = mesh_of(annotations={names.ANNOTATION_RESTARTED: "2026-01-01T00:00:00Z"})
    assert canonical_hash(build_pod_template(restarted, "secret")) == TEMPLATE_OF_A_RESTART


def test_nothing_but_the_spec_moves_the_template() -> None:
    base = build_pod_template(mesh_of(), "secret")
    for same in (
        mesh_of({"replicas": 7}),
        mesh_of({"rollout": {"paused": True, "maxWaitSeconds": 10}}),
        mesh_of({"service": {"type": "NodePort"}}),
        mesh_of({"keystore": {"size": "9Gi", "retentionPolicy": "Delete"}}),
        mesh_of({"keystore": {"onRollback": "quarantine", "witnessWait": "2s", "openingWait": "15s"}}),
        mesh_of({"app": {"transport": "hermes", "trustedProxies": []}}),
        mesh_of(generation=99, resourceVersion="1"),
    ):
        assert build_pod_template(same, "secret") == base
    for other in (
        mesh_of({"image": "hermes:2"}),
        mesh_of({"crypto": {"window": 1}}),
        mesh_of({"keystore": {"rotationInterval": "1h"}}),
        mesh_of({"keystore": {"onRollback": "exit"}}),
        mesh_of({"keystore": {"openingWait": "1m"}}),
        mesh_of({"app": {"transport": "grpc"}}),
        mesh_of({"app": {"fronts": 0}}),
        mesh_of(annotations={names.ANNOTATION_RESTARTED: "x"}),
    ):
        assert build_pod_template(other, "secret") != base
    assert build_pod_template(mesh_of(), "other") != base


@pytest.mark.parametrize("name", SPECS)
def test_pods_meet_the_restricted_standard(name: str) -> None:
    pod = build_pod_template(mesh_of(SPECS[name]), "x")["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    kinds = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds <= {"configMap", "secret", "emptyDir"}


@pytest.mark.parametrize("name", SPECS)
def test_node_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    """The real node reads what the operator writes, with the environment that the kubelet would give."""
    mesh = mesh_of(SPECS[name])
    config_map = next(m for m in _documents(name) if m["kind"] == "ConfigMap")
    file = tmp_path / "hermes.toml"
    file.write_text(config_map["data"]["hermes.toml"])
    environment = {e["name"]: e.get("value", "").replace("$(POD_NAME)", "demo-0") for e in build_container(mesh)["env"]}
    node_settings = {key: value for key, value in environment.items() if key.startswith("HERMES_")}
    config = load_config(file, node_settings)
    assert config.node.id == "demo-0"
    assert config.mesh.advertise == "demo-0.demo-nodes.chat.svc:7443"
    assert config.app.tls_cert == config.mesh.tls_cert == "/etc/hermes/tls/demo-0.crt"
    assert config.crypto.window == mesh.crypto.window
    assert config.cleanup.drain_timeout_s == mesh.cleanup.drain_timeout_s
    assert config.keystore.argon2_memory_kib == mesh.keystore.argon2.memory_kib


def test_pod_has_time_to_drain() -> None:
    pod = build_pod_template(mesh_of({"cleanup": {"drainTimeout": "45s"}}), "x")["spec"]
    assert pod["terminationGracePeriodSeconds"] == 65


def test_partition_and_claims() -> None:
    made = build_statefulset(mesh_of({"keystore": {"size": "2Gi"}}), partition=1, secrets_hash="x", claim_size="1Gi")
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    assert made["spec"]["podManagementPolicy"] == "Parallel"
    assert made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_extra_labels_and_env_cannot_replace_the_operators() -> None:
    mesh = mesh_of({"podLabels": {names.LABEL_MESH: "other"}, "env": [{"name": "HERMES_NODE_ID", "value": "other"}]})
    template = build_pod_template(mesh, "x")
    assert template["metadata"]["labels"][names.LABEL_MESH] == "demo"
    values = [e["value"] for e in template["spec"]["containers"][0]["env"] if e["name"] == "HERMES_NODE_ID"]
    assert values == ["$(POD_NAME)"]


def test_budget_for_several_nodes_only() -> None:
    assert build_disruption_budget(mesh_of({"replicas": 1})) is None
    budget = build_disruption_budget(mesh_of({"replicas": 2}))
    assert budget is not None
    assert budget["spec"]["maxUnavailable"] == 1


def test_passphrase_outlives_its_mesh() -> None:
    mesh = mesh_of()
    assert "ownerReferences" not in build_passphrase_secret(mesh, b"x")["metadata"]
    assert decode_secret(build_passphrase_secret(mesh, b"x"), "passphrase") == b"x"
    assert decode_secret({"data": {"passphrase": "no base64!"}}, "passphrase") is None
    assert decode_secret(None, "passphrase") is None


def test_secrets_hash_is_keyed() -> None:
    assert secrets_hash(b"p", b"token") != secrets_hash(b"p", b"other")
    assert secrets_hash(b"p", b"token") != secrets_hash(b"q", b"token")


def test_stamp_names_the_content() -> None:
    one, two = ({"metadata": {"name": "x"}, "data": {"a": value}} for value in "12")
    assert stamp_applied(one) == stamp_applied(dict(reversed(one.items())))
    key = names.ANNOTATION_APPLIED
    assert stamp_applied(one)["metadata"]["annotations"][key] != stamp_applied(two)["metadata"]["annotations"][key]
    assert "annotations" not in one["metadata"]


def test_configuration_does_not_depend_on_replicas() -> None:
    one, two = (tomllib.loads(_config_of(replicas)) for replicas in (1, 5))
    assert one == two


def _config_of(replicas: int) -> str:
    from hermes_operator.manifests.config import render_node_config

    return render_node_config(mesh_of({"replicas": replicas}))


def _documents(name: str) -> list[dict[str, Any]]:
    import yaml

    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))
