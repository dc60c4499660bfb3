"""Which Secrets are made or renewed, and which a person must bring back."""

from __future__ import annotations

from hermes_operator import names
from hermes_operator.certificates.authority import ca_is_good
from hermes_operator.certificates.renewal import find_stale
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import (
    Action,
    CreateAdminToken,
    CreateCa,
    CreatePassphrase,
    Problem,
    RenewCertificates,
    name_taken,
)


def plan_secrets(mesh: MeshSpec, seen: Observed, cluster_domain: str) -> tuple[tuple[Action, ...], tuple[Problem, ...]]:
    """What to make, and what cannot be made."""
    actions: list[Action] = []
    problems: list[Problem] = []
    passphrase = _plan_passphrase(mesh, seen)
    if isinstance(passphrase, Problem):
        problems.append(passphrase)
    elif passphrase is not None:
        actions.append(passphrase)
    for name, action in _plan_owned(mesh, seen, cluster_domain):
        if name in seen.secrets.taken:
            problems.append(name_taken("Secret", name))
        else:
            actions.append(action)
    return tuple(actions), tuple(problems)


def _plan_passphrase(mesh: MeshSpec, seen: Observed) -> CreatePassphrase | Problem | None:
    where = mesh.passphrase
    if seen.secrets.passphrase is not None:
        return None
    if mesh.keystore.passphrase_secret_ref is not None or seen.secrets.passphrase_stored:
        message = f"Secret {where.name} has no key {where.key!r}: create it in namespace {mesh.namespace}"
        return Problem("PassphraseMissing", message, keystore=True)
    if seen.claims:
        message = (
            f"volumes of an earlier mesh exist, but Secret {where.name}, whose passphrase opens them, is gone: "
            f"restore the Secret, or delete the claims {', '.join(claim['metadata']['name'] for claim in seen.claims)}"
        )
        return Problem("PassphraseLost", message, keystore=True)
    return CreatePassphrase()


def _plan_owned(mesh: MeshSpec, seen: Observed, cluster_domain: str) -> list[tuple[str, Action]]:
    """Secrets to be made or renewed, each with its name."""
    secrets = seen.secrets
    wanted: list[tuple[str, Action]] = []
    if secrets.admin_token is None:
        wanted.append((names.admin_secret(mesh.name), CreateAdminToken()))
    if secrets.ca is None or not ca_is_good(secrets.ca, seen.now):
        wanted.append((names.ca_secret(mesh.name), CreateCa()))
    elif stale := find_stale(mesh, secrets.tls_files, secrets.ca, seen.now, cluster_domain):
        wanted.append((names.tls_secret(mesh.name), RenewCertificates(stale)))
    return wanted
