"""The golden manifests: `python -m tests.unit.hermes_operator.golden_manifests` writes them anew; review the difference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from hermes_operator.manifests.objects import stamp_applied
from hermes_operator.plan.wanted import build_objects
from tests.unit.hermes_operator.operator_samples import mesh_of, settled

FOLDER = Path(__file__).with_name("golden")

SPECS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "single-node": {"replicas": 1, "networkPolicy": {"enabled": False}, "monitoring": {"podMonitor": {"enabled": False}}},
    "referred-passphrase": {
        "keystore": {
            "size": "10Gi",
            "storageClassName": "fast",
            "retentionPolicy": "Delete",
            "passphraseSecretRef": {"name": "vault", "key": "mesh"},
            "argon2": {"memoryKiB": 262144, "timeCost": 4, "lanes": 2},
            "rotationInterval": "90m",
        },
    },
    "tuned": {
        "replicas": 5,
        "crypto": {
            "suites": ["x25519-mlkem768-sha512", "x25519-sha512"],
            "window": 64,
            "maxSkip": 512,
            "maxKeyLifetime": "24h",
            "maxKeyMessages": 5000,
        },
        "limits": {"maxSessions": 10, "maxChats": 20, "maxChatsPerApp": 5, "maxHandshakesPerApp": 2},
        "app": {"transport": "grpc"},
        "cleanup": {"idleTimeout": "1h", "handshakeTimeout": "500ms", "drainTimeout": "1m30s"},
        "rollout": {"maxWaitSeconds": 60},
    },
    "wary-of-old-volumes": {"keystore": {"onRollback": "exit", "witnessWait": "5s", "openingWait": "1m"}},
    "two-fronts": {"app": {"fronts": 2}, "resources": {"limits": {"cpu": "3", "memory": "512Mi"}}},
    "behind-a-load-balancer": {"app": {"trustedProxies": ["10.0.0.0/8", "2001:db8::/32"]}},
    "everything-of-a-pod": {
        "image": "registry.example/hermes:1.2.3",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "pull"}],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "service": {
            "type": "LoadBalancer",
            "annotations": {"example.com/lb": "internal"},
            "nodeAddress": "$(POD_NAME).chat.example.com:443",
        },
        "monitoring": {"podMonitor": {"interval": "10s", "labels": {"release": "prometheus"}}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "chat", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "priorityClassName": "high",
        "podLabels": {"team": "chat"},
        "podAnnotations": {"example.com/note": "x"},
        "env": [{"name": "HERMES_LOG_LEVEL", "value": "debug"}, {"name": "EMPTY"}],
    },
}


def render(spec: dict[str, Any]) -> str:
    mesh = mesh_of(spec)
    manifests = [stamp_applied(manifest) for manifest in build_objects(mesh, settled(mesh), mesh.replicas)]
    return yaml.safe_dump_all(manifests, sort_keys=False, width=120)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for name, spec in SPECS.items():
        (FOLDER / f"{name}.yaml").write_text(render(spec))
    return 0


if __name__ == "__main__":
    sys.exit(main())
