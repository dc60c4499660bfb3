"""Tables of core, wire, operator and generators that are keyed by an enum or by types have a row for each.

The node's are in hermes_node/test_tables.py; a `match` that ends with `assert_never` is held by mypy.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, get_args

import pytest

from hermes_core.crypto import hashing
from hermes_core.errors import ErrorScope, KeystoreError, KeystoreExistsError
from hermes_core.ids import ChannelKind
from hermes_core.keystore.witness_verdict import _SNAPSHOT_FINDINGS, ResumeVerdict, SnapshotMatch
from hermes_core.mesh.messages import HomeFound
from hermes_core.protocol.messages import ChatMessage, ClosedAck, Moved, MoveOffer, MoveWanted, Offer, Sealed
from hermes_core.protocol.session import Connect, SessionMessage
from hermes_core.ratchet.header import MAX_FRAME_BYTES, MAX_PLAINTEXT_BYTES
from hermes_core.relay import router
from hermes_core.relay.chat import Chat
from hermes_node.metrics.grpc_calls import _KINDS
from hermes_operator.observe.failures import _KEYSTORE_ERRORS, KEYSTORE_REASONS
from hermes_proto.v2 import admin_pb2, app_router_pb2, errors_pb2, node_mesh_pb2
from hermes_wire import app, peer
from tools.generate_errors import _SCOPES


def fields(*messages: Any) -> set[str]:
    """What a frame's or message's `body` can be."""
    return {field.name for message in messages for field in message.DESCRIPTOR.oneofs_by_name["body"].fields}


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        (hashing.ALGORITHM, set(hashing.HashId)),
        (hashing.NAME, set(hashing.HashId)),
        (hashing.DIGEST_BYTES, set(hashing.HashId)),
        (MAX_PLAINTEXT_BYTES, set(ChannelKind)),
        (MAX_FRAME_BYTES, set(ChannelKind)),
        (_SNAPSHOT_FINDINGS, set(SnapshotMatch) - {SnapshotMatch.SAME, SnapshotMatch.NOT_COMPARED}),
        (_SCOPES, set(ErrorScope)),
        (_KINDS, set(product((False, True), repeat=2))),
        (app._CLIENT_PARSERS, fields(app_router_pb2.ClientFrame) - {"sealed"}),
        (app._SERVER_PARSERS, fields(app_router_pb2.ServerFrame) - {"sealed"}),
        (peer._PEER_PARSERS, fields(node_mesh_pb2.PeerFrame) - {"sealed"}),
        (peer._GOSSIP_PARSERS, fields(node_mesh_pb2.GossipMessage, node_mesh_pb2.JoinMessage)),
    ],
)
def test_a_table_has_a_row_for_each(table: Mapping[Any, Any], keys: set[Any]) -> None:
    assert set(table) == keys


@pytest.mark.parametrize(
    ("builders", "frame", "elsewhere"),
    [
        (app._CLIENT_BUILDERS, app_router_pb2.ClientFrame, {"sealed", "start_chat", "rekey"}),
        (app._SERVER_BUILDERS, app_router_pb2.ServerFrame, {"sealed"}),
        (peer._PEER_BUILDERS, node_mesh_pb2.PeerFrame, {"sealed"}),
    ],
)
def test_every_field_of_a_frame_is_built_from_one_type(
    builders: dict[type, tuple[str, Any]], frame: Any, elsewhere: set[str]
) -> None:
    built = [field for field, _ in builders.values()]
    assert sorted(built) == sorted(fields(frame) - elsewhere)


def test_every_message_can_be_sent_by_an_app_or_by_its_node() -> None:
    sent = {*app._CLIENT_BUILDERS, *app._SERVER_BUILDERS, Offer, Sealed}
    assert sent == {*get_args(ChatMessage), *get_args(SessionMessage), HomeFound}
    assert set(app._SESSION_TYPES) == set(get_args(SessionMessage))
    assert Connect in app._CLIENT_BUILDERS


def test_a_node_takes_every_message_from_an_app_or_from_a_node() -> None:
    taken = router._FROM_APP | router._FROM_NODE
    assert taken | {Sealed, MoveWanted} == set(get_args(ChatMessage))
    assert set(Chat._HANDLERS) | {ClosedAck, MoveOffer, Moved} == taken


def test_verdicts_and_scopes_have_the_numbers_of_the_protos() -> None:
    assert {verdict.name: verdict.value for verdict in ResumeVerdict} == dict(admin_pb2.ResumeVerdict.items())
    scopes = {f"ERROR_SCOPE_{scope.name}": scope.value for scope in ErrorScope}
    assert scopes | {"ERROR_SCOPE_UNSPECIFIED": 0} == dict(errors_pb2.ErrorScope.items())


def test_the_operator_knows_every_failure_of_a_keystore_that_a_node_ends_with() -> None:
    """A node makes a keystore only where there is none: that there is one is `hermesctl`'s to say."""
    known = set(_KEYSTORE_ERRORS.values())
    assert known == set(KeystoreError.__subclasses__()) - {KeystoreExistsError}
    assert len(KEYSTORE_REASONS) == len(known) + 2
