"""Renewals of a node's identity for tests: good ones, and what somebody makes who has one of the two keys only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from hermes_core.crypto.signing import Identity
from hermes_core.handshake.renewal import append_renewal, build_renewal
from hermes_core.ids import NodeId


def make_chain(node_id: NodeId, identities: list[Identity]) -> bytes:
    """Each of `identities` takes the place of the one before."""
    renewals = b""
    for former, new in pairwise(identities):
        renewals = append_renewal(renewals, build_renewal(former, new, node_id))
    return renewals


class Impostor:
    """Signs as itself and says that it is somebody else."""

    def __init__(self, shown: Identity, signer: Identity) -> None:
        self.public_key = shown.public_key
        self.sign = signer.sign


def _by_former_alone(node_id: NodeId, former: Identity, new: Identity) -> bytes:
    return build_renewal(former, Impostor(new, former), node_id)  # type: ignore[arg-type]


def _by_new_alone(node_id: NodeId, former: Identity, new: Identity) -> bytes:
    return build_renewal(Impostor(former, new), new, node_id)  # type: ignore[arg-type]


def _of_another_name(_node_id: NodeId, former: Identity, new: Identity) -> bytes:
    return build_renewal(former, new, NodeId("another"))


def _of_another_key(node_id: NodeId, former: Identity, _new: Identity) -> bytes:
    return build_renewal(former, Identity.generate(), node_id)


def _with_a_gap(node_id: NodeId, former: Identity, new: Identity) -> bytes:
    return build_renewal(former, Identity.generate(), node_id) + build_renewal(Identity.generate(), new, node_id)


def _there_and_back(node_id: NodeId, former: Identity, new: Identity) -> bytes:
    return make_chain(node_id, [new, former, new])


FORGERIES: Final[Mapping[str, Callable[[NodeId, Identity, Identity], bytes]]] = {
    "signed by the former key alone": _by_former_alone,
    "signed by the new key alone": _by_new_alone,
    "of another name": _of_another_name,
    "of another key": _of_another_key,
    "with a gap": _with_a_gap,
    "there and back": _there_and_back,
}
"""What must not make `new` the successor of `former`."""
