"""The handshake between nodes: a proof fits one stream, one kind of stream, one role and one pair of nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM, generate_bytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import Hello
from hermes_core.session.join import JoinRole, PeerHandshake, StreamKind
from hermes_core.session.suites import OFFERED


class Node:
    """A node on one stream."""

    def __init__(self, name: str, identity: Identity | None = None) -> None:
        self.identity = identity or Identity.generate()
        descriptor = sign_descriptor(self.identity, node_id=NodeId(name), address="a:1", incarnation=1, version="")
        self.ephemeral: EphemeralKey = generate_ephemeral(SYSTEM_RANDOM)
        self.hello = Hello(descriptor, generate_bytes(32, SYSTEM_RANDOM), self.ephemeral.public, OFFERED)

    def meet(self, peer: Hello, role: JoinRole, kind: StreamKind = StreamKind.ROUTE_CHAT) -> PeerHandshake:
        return PeerHandshake(self.identity, self.ephemeral, kind, role, self.hello, peer)


def refusal(act: Callable[[], object]) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        act()
    return caught.value.code


def test_both_ends_get_the_same_keys() -> None:
    a, b = Node("a"), Node("b")
    ours, theirs = a.meet(b.hello, JoinRole.DIALLER), b.meet(a.hello, JoinRole.ACCEPTOR)
    proof = ours.prove()
    theirs.check(proof)
    ours.check(theirs.prove())
    first, second = ours.complete().stream, theirs.complete().stream
    assert first.binding == second.binding
    assert (first.send_nonce, first.receive_nonce) == (second.receive_nonce, second.send_nonce)
    assert a.ephemeral._private.wiped
    assert b.ephemeral._private.wiped


@pytest.mark.parametrize("change", [{"challenge": bytes(32)}, {"ephemeral": bytes(31) + b"\x09"}, {"suites": b"\x01\x02"}])
@pytest.mark.parametrize("of_signer", [True, False])
def test_a_proof_covers_everything_that_both_said(change: dict[str, Any], of_signer: bool) -> None:
    a, b = Node("a"), Node("b")
    shown_a = dataclasses.replace(a.hello, **change) if of_signer else a.hello
    shown_b = b.hello if of_signer else dataclasses.replace(b.hello, **change)
    proof = a.meet(shown_b, JoinRole.DIALLER).prove()
    assert refusal(lambda: b.meet(shown_a, JoinRole.ACCEPTOR).check(proof)) is ErrorCode.AUTH_FAILED


def test_a_proof_for_one_kind_of_stream_serves_no_other() -> None:
    a, b = Node("a"), Node("b")
    proof = a.meet(b.hello, JoinRole.DIALLER, StreamKind.JOIN).prove()
    for kind in (StreamKind.GOSSIP, StreamKind.ROUTE_CHAT):
        assert refusal(lambda kind=kind: b.meet(a.hello, JoinRole.ACCEPTOR, kind).check(proof)) is ErrorCode.AUTH_FAILED  # type: ignore[misc]


def test_a_proof_is_no_answer_to_itself() -> None:
    """Reflected, or given in the other role: the same node dials and is dialled."""
    a, b = Node("a"), Node("b")
    ours = a.meet(b.hello, JoinRole.DIALLER)
    assert refusal(lambda: ours.check(ours.prove())) is ErrorCode.AUTH_FAILED
    in_the_other_role = b.meet(a.hello, JoinRole.DIALLER).prove()
    assert refusal(lambda: ours.check(in_the_other_role)) is ErrorCode.AUTH_FAILED


def test_nobody_bears_our_own_name() -> None:
    a = Node("a")
    assert refusal(lambda: a.meet(Node("a").hello, JoinRole.DIALLER)) is ErrorCode.AUTH_FAILED


def test_without_a_suite_in_common_there_is_no_session() -> None:
    a, b = Node("a"), Node("b")
    newer = dataclasses.replace(b.hello, suites=b"\x07")
    assert refusal(lambda: a.meet(newer, JoinRole.DIALLER)) is ErrorCode.KEY_VERSION_MISMATCH


def test_a_descriptor_that_its_key_did_not_sign_is_no_node() -> None:
    a, b = Node("a"), Node("b")
    hello = dataclasses.replace(b.hello, descriptor=dataclasses.replace(b.hello.descriptor, address="elsewhere:1"))
    proof = b.meet(a.hello, JoinRole.ACCEPTOR).prove()
    assert refusal(lambda: a.meet(hello, JoinRole.DIALLER).check(proof)) is ErrorCode.AUTH_FAILED


def test_keys_need_both_proofs() -> None:
    a, b = Node("a"), Node("b")
    handshake = a.meet(b.hello, JoinRole.DIALLER)
    handshake.prove()
    with pytest.raises(ValueError, match="both proofs"):
        handshake.complete()
