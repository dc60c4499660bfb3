"""How to reach the mesh under test: app addresses, TLS, and admin servers where they can be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_client.client import HermesClient
from hermes_client.scenario.admin_client import AdminClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.tls import PLAIN, ClientTls, PlainText


@dataclass(frozen=True, slots=True)
class MeshReach:
    """`addresses`: app addresses of the nodes, host:port. The first app goes to the first, the second to the last.

    `admin`: admin servers by node name; empty when they cannot be reached, then positions and records are not looked at.
    """

    addresses: tuple[str, ...]
    tls: ClientTls | PlainText = PLAIN
    admin: dict[str, AdminClient] = field(default_factory=dict)

    @classmethod
    def of_local(cls, mesh: LocalMesh) -> MeshReach:
        """A mesh of processes on this machine."""
        admin = {node.node_id: AdminClient(f"http://{node.admin}", mesh.admin_token) for node in mesh.nodes}
        tls = ClientTls(ca_file=mesh.ca_file) if mesh.app_tls else PLAIN
        return cls(tuple(node.app for node in mesh.nodes), tls, admin)

    def open_clients(self) -> tuple[HermesClient, HermesClient]:
        """Two apps with fresh identities that live on different nodes where there are two."""
        return (
            HermesClient(self.addresses, tls=self.tls),
            HermesClient(tuple(reversed(self.addresses)), tls=self.tls),
        )
