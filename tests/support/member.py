"""A member of a mesh that a test plays itself: a certificate, an identity, and connections to real nodes."""

from __future__ import annotations

from contextlib import AsyncExitStack

import grpc
import grpc.aio

from hermes_client.scenario.certificates import CertificateFiles
from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_node.mesh.handshake import NodeCredentials
from hermes_wire.byte_stream import GrpcConnection

NAME = "hostile"


class Member:
    """It has a certificate of the mesh's CA and an identity, and connects as often as it likes."""

    def __init__(self, mesh: LocalMesh, node: LocalNode, held: AsyncExitStack, identity: Identity | None = None) -> None:
        assert mesh._authority is not None
        files: CertificateFiles = mesh._authority.issue_node(NAME)
        pem = [mesh.ca_file.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()]
        self._credentials = grpc.ssl_channel_credentials(*pem)
        self._node = node
        self._held = held
        identity = identity or Identity.generate()
        told = sign_descriptor(identity, node_id=NodeId(NAME), address="127.0.0.1:1", incarnation=1, version="1")
        self.local = NodeCredentials(identity, told, SYSTEM_RANDOM)

    def connect(self, node: LocalNode | None = None) -> GrpcConnection:
        """To its node, or another one."""
        node = node or self._node
        options = [("grpc.ssl_target_name_override", node.node_id), ("grpc.use_local_subchannel_pool", 1)]
        connection = GrpcConnection(grpc.aio.secure_channel(node.mesh, self._credentials, options=options))
        self._held.push_async_callback(connection.close)
        return connection
