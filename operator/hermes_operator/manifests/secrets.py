"""Secrets of a mesh: passphrase, admin token, CA and certificates. The secret values are made elsewhere and given in."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.objects import Manifest, build_metadata


def build_passphrase_secret(mesh: MeshSpec, passphrase: bytes) -> Manifest:
    """Not owned: it must outlive the mesh where the volumes do, or they could never be opened again."""
    return _build_secret(mesh, names.passphrase_secret(mesh.name), {names.PASSPHRASE_KEY: passphrase}, owned=False)


def build_admin_secret(mesh: MeshSpec, token: bytes) -> Manifest:
    return _build_secret(mesh, names.admin_secret(mesh.name), {names.TOKEN_KEY: token})


def build_ca_secret(mesh: MeshSpec, certificate: bytes, key: bytes) -> Manifest:
    return _build_secret(mesh, names.ca_secret(mesh.name), {names.CA_CERT_KEY: certificate, names.CA_KEY_KEY: key})


def build_tls_secret(mesh: MeshSpec, files: Mapping[str, bytes]) -> Manifest:
    """`files`: ca.crt, and <pod>.crt and <pod>.key of every pod."""
    return _build_secret(mesh, names.tls_secret(mesh.name), files)


def secrets_hash(passphrase: bytes, token: bytes) -> str:
    """Keyed, so that a reader of the pod template learns nothing about the passphrase, not even by guessing."""
    return hmac.new(token, b"hermes-operator secrets v1\0" + passphrase, hashlib.sha256).hexdigest()[:16]


def _build_secret(mesh: MeshSpec, name: str, files: Mapping[str, bytes], *, owned: bool = True) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": build_metadata(mesh, name, owned=owned),
        "data": {key: base64.b64encode(value).decode() for key, value in sorted(files.items())},
    }
