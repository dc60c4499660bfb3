"""Names, labels and ports that the operator, the chart, the dashboards and the tests agree on."""

from __future__ import annotations

from hermes_core import limits

GROUP = "hermesmesh.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "HermesMesh"
PLURAL = "hermesmeshes"

FIELD_MANAGER = "hermes-operator"
FINALIZER = f"{GROUP}/keystores"

LABEL_MESH = f"{GROUP}/mesh"
ANNOTATION_APPLIED = f"{GROUP}/applied-hash"
ANNOTATION_TEMPLATE = f"{GROUP}/template-hash"
ANNOTATION_CONFIG = f"{GROUP}/config-hash"
ANNOTATION_SECRETS = f"{GROUP}/secrets-hash"
ANNOTATION_RESTARTED = f"{GROUP}/restartedAt"
ANNOTATION_MARK = f"{GROUP}/keystore-mark"

CONTAINER = "hermes-node"
POD_NAME_VARIABLE = "$(POD_NAME)"
VOLUME_CLAIM = "keystore"
APP_PORT = limits.APP_PORT
MESH_PORT = limits.MESH_PORT
ADMIN_PORT = limits.ADMIN_PORT

CONFIG_DIR = "/etc/hermes/config"
TLS_DIR = "/etc/hermes/tls"
PASSPHRASE_DIR = "/etc/hermes/passphrase"  # noqa: S105 - a folder
ADMIN_DIR = "/etc/hermes/admin"
DATA_DIR = "/var/lib/hermes"
CONFIG_FILE = "hermes.toml"

CA_CERT_KEY = "ca.crt"
CA_KEY_KEY = "ca.key"
TOKEN_KEY = "token"  # noqa: S105 - the key in the Secret, not a token
PASSPHRASE_KEY = "passphrase"  # noqa: S105 - the key in the Secret, not a passphrase


def headless_service(mesh: str) -> str:
    """The Service of the peers, which names every pod."""
    return f"{mesh}-nodes"


def config_map(mesh: str) -> str:
    return f"{mesh}-config"


def passphrase_secret(mesh: str) -> str:
    return f"{mesh}-passphrase"


def admin_secret(mesh: str) -> str:
    return f"{mesh}-admin"


def ca_secret(mesh: str) -> str:
    return f"{mesh}-ca"


def tls_secret(mesh: str) -> str:
    return f"{mesh}-tls"


def pod_name(mesh: str, ordinal: int) -> str:
    """Name of a pod, which is the node id as well."""
    return f"{mesh}-{ordinal}"


def pod_ordinal(pod: str) -> int:
    """The ordinal of a pod of a StatefulSet; -1 when the name has none."""
    suffix = pod.rpartition("-")[2]
    return int(suffix) if suffix.isdigit() else -1


def volume_claim(pod: str) -> str:
    """The volume claim of a pod."""
    return f"{VOLUME_CLAIM}-{pod}"


def selector_labels(mesh: str) -> dict[str, str]:
    """What selects the pods of a mesh; a StatefulSet's selector can never change, nor can this."""
    return {"app.kubernetes.io/name": "hermes", "app.kubernetes.io/component": "node", LABEL_MESH: mesh}


def object_labels(mesh: str) -> dict[str, str]:
    """Labels of every object of a mesh."""
    return selector_labels(mesh) | {
        "app.kubernetes.io/instance": mesh,
        "app.kubernetes.io/managed-by": "hermes-operator",
        "app.kubernetes.io/part-of": "hermes",
    }
