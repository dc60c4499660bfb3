"""The Secrets of a mesh, read in one place: what a pass plans, applies and tells of them are these values."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermes_operator import names
from hermes_operator.certificates.key_pair import KeyPair
from hermes_operator.crd_spec import MeshSpec

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeshSecrets:
    """Values are None where the Secret, or the key in it, is missing. `taken`: names that somebody else's Secrets have."""

    passphrase: bytes | None = field(default=None, repr=False)
    passphrase_stored: bool = False
    admin_token: bytes | None = field(default=None, repr=False)
    ca: KeyPair | None = None
    tls_files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    taken: frozenset[str] = frozenset()

    @property
    def bearer(self) -> str:
        """The admin token as a header carries it; empty before there is one."""
        return (self.admin_token or b"").decode(errors="replace")


def owned_secrets(mesh: str) -> tuple[str, ...]:
    """Names of the Secrets that go with the mesh; the passphrase's may outlive it, or be a person's own."""
    return names.admin_secret(mesh), names.ca_secret(mesh), names.tls_secret(mesh)


def read_secrets(mesh: MeshSpec, passphrase: Body | None, owned: Mapping[str, Body | None]) -> MeshSecrets:
    """`owned`: those of `owned_secrets`, by name; None where there is none."""
    admin, ca, tls = (owned.get(name) for name in owned_secrets(mesh.name))
    certificate, key = decode_secret(ca, names.CA_CERT_KEY), decode_secret(ca, names.CA_KEY_KEY)
    return MeshSecrets(
        passphrase=decode_secret(passphrase, mesh.passphrase.key),
        passphrase_stored=passphrase is not None,
        admin_token=decode_secret(admin, names.TOKEN_KEY),
        ca=KeyPair(certificate, key) if certificate is not None and key is not None else None,
        tls_files=_read_files(tls),
        taken=frozenset(name for name, body in owned.items() if body is not None and not carries_label(body, mesh.name)),
    )


def carries_label(body: Body, mesh: str) -> bool:
    """Whether an object says that it belongs to this mesh; one that does not is never taken over."""
    return bool((body["metadata"].get("labels") or {}).get(names.LABEL_MESH) == mesh)


def decode_secret(secret: Body | None, key: str) -> bytes | None:
    """One value of a Secret; None when it is not there, empty, or no base64."""
    try:
        value = base64.b64decode(((secret or {}).get("data") or {}).get(key, ""), validate=True)
    except ValueError:
        return None
    return value or None


def _read_files(secret: Body | None) -> dict[str, bytes]:
    values = {name: decode_secret(secret, name) for name in (secret or {}).get("data") or {}}
    return {name: value for name, value in values.items() if value is not None}
