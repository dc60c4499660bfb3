"""The addresses of a kind cluster: blocks that nobody uses, of each version that its family asks for."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

import pytest

from tests.e2e.harness.choose import choose_cluster
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind.configuration import build_configuration
from tests.e2e.harness.kind.family import Family, family_of
from tests.e2e.harness.kind.subnets import CANDIDATES, Subnets, choose_subnets, parse_routes
from tests.e2e.harness.versions import POD_CIDR, SERVICE_CIDR

ROUTES = '[{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24"},{"type":"local","dst":"10.200.0.7"}]'
ROUTES_6 = (
    '[{"dst":"default","gateway":"fd00::1"},{"dst":"fd00::/64"},{"dst":"fe80::/64"},{"type":"multicast","dst":"ff00::/8"},'
    '{"type":"local","dst":"fd68:6572:6d00::7"}]'
)
BLOCKS = [Subnets(CANDIDATES[version][0]) for version in (4, 6)]
MOST_OF_SERVICES = {4: 12, 6: 108}
"""No shorter prefix does the API server take."""


def test_routes_are_read_without_the_default_and_those_of_every_device() -> None:
    assert parse_routes(ROUTES) == [IPv4Network("192.0.2.0/24"), IPv4Network("10.200.0.7/32")]
    assert parse_routes(ROUTES_6, 6) == [IPv6Network("fd00::/64"), IPv6Network("fd68:6572:6d00::7/128")]
    assert parse_routes("") == parse_routes("", 6) == []


@pytest.mark.parametrize(("version", "routes", "all_of_them"), [(4, ROUTES, "10.0.0.0/8"), (6, ROUTES_6, "fd68::/16")])
def test_a_block_in_use_is_passed_over_however_small_the_part(version: int, routes: str, all_of_them: str) -> None:
    assert choose_subnets(parse_routes(routes, version), version).block == CANDIDATES[version][1]
    assert choose_subnets([], version).block == CANDIDATES[version][0]
    with pytest.raises(HarnessError, match="every block"):
        choose_subnets([ip_network(all_of_them)], version)


@pytest.mark.parametrize("subnets", BLOCKS)
def test_the_parts_of_a_block_are_apart(subnets: Subnets) -> None:
    link = ip_network(f"{subnets.host_end}/{subnets.link_prefix}", strict=False)
    assert subnets.namespace_end in link
    parts = [subnets.pods, subnets.services, subnets.nodes, link]
    assert all(part.network_address in subnets.block and part.broadcast_address in subnets.block for part in parts)
    spans = sorted((int(part.network_address), int(part.broadcast_address)) for part in parts)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert subnets.services.prefixlen >= MOST_OF_SERVICES[subnets.version]


def test_the_blocks_are_apart_from_the_local_cluster_and_of_local_use_only() -> None:
    others = [ip_network(POD_CIDR), ip_network(SERVICE_CIDR)]
    assert not any(
        int(block[0]) <= int(other[-1]) and int(other[0]) <= int(block[-1]) for block in CANDIDATES[4] for other in others
    )
    assert all(block.is_private for blocks in CANDIDATES.values() for block in blocks)


def test_one_control_plane_and_the_rest_workers() -> None:
    config = build_configuration(BLOCKS, 3, Family.IPV4)
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]


@pytest.mark.parametrize(("family", "blocks"), [(Family.IPV4, BLOCKS[:1]), (Family.IPV6, BLOCKS[1:]), (Family.DUAL, BLOCKS)])
def test_kind_is_told_the_ranges_of_the_family_and_no_others(family: Family, blocks: list[Subnets]) -> None:
    told = build_configuration(BLOCKS, 2, family)["networking"]
    assert told["ipFamily"] == family
    assert told["podSubnet"] == ",".join(str(subnets.pods) for subnets in blocks)
    assert told["serviceSubnet"] == ",".join(str(subnets.services) for subnets in blocks)


def test_a_family_is_told_by_the_versions_of_a_pod_s_addresses() -> None:
    assert [family_of(family.versions) for family in Family] == list(Family)
    assert family_of(()) is None


@pytest.mark.parametrize(("kind", "nodes"), [("local", 3), ("existing", 2), ("kind", 0), ("kind", 10)])
def test_a_number_of_nodes_that_cannot_be_is_refused(kind: str, nodes: int) -> None:
    with pytest.raises(HarnessError):
        choose_cluster(kind, nodes)


@pytest.mark.parametrize("kind", ["local", "existing"])
def test_a_family_that_cannot_be_is_refused_with_a_cure(kind: str) -> None:
    with pytest.raises(HarnessError, match="--cluster kind"):
        choose_cluster(kind, 1, "ipv6")
    assert choose_cluster(kind, 1, "ipv4").name == kind
