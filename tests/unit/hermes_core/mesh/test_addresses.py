"""What addresses a node may tell others of itself, and which of them lead another node there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.mesh.addresses import MAX_HOST_CHARS, AddressScope, check_address, may_lead, reach_of
from hermes_core.mesh.messages import HomeFound
from hermes_wire.homes import build_descriptor, build_home_found, parse_descriptor, parse_home_found
from tests.liar.lies import HOSTILE_ADDRESSES
from tests.support.control_samples import DESCRIPTOR

LONGEST = ".".join(["a" * 63] * 3 + ["a" * (MAX_HOST_CHARS - 3 * 64)])
GOOD = (
    "hermes-1.mesh:7443",
    "a_b-c.example.:1",
    "192.0.2.1:65535",
    "[2001:db8::1]:1",
    "127.0.0.1:1",
    "x0x1:1",
    "unix:8443",
    "1.a:1",
    f"{LONGEST}:1",
)
BAD = (
    *HOSTILE_ADDRESSES,
    "",
    "a",
    ":1",
    "a:",
    "a:+1",
    "a:1 ",
    "a:٣",
    "a:100000",
    "a..b:1",
    "-a:1",
    "\x00:1",
    "é:1",
    "a\n:1",
    "2001:db8::1:1",
    "[a]:1",
    "[192.0.2.1]:1",
    "[::ffff:0.0.0.0]:1",
    "127.1:1",
    "0x7f.1:1",
    "0x7f000001:1",
    "a.1:1",
    "0177.0.0.1:1",
    "255.255.255.255:1",
    "[ff02::1]:1",
    f"{LONGEST}a:1",
    f"{'a' * 64}:1",
)


@pytest.mark.parametrize("address", GOOD)
def test_a_name_or_an_address_with_a_port_is_one(address: str) -> None:
    check_address(address)
    said = replace(DESCRIPTOR, address=address, app_address=address)
    assert parse_descriptor(build_descriptor(said)) == said


@pytest.mark.parametrize("address", BAD)
def test_nothing_else_is_and_whoever_tells_it_is_refused(address: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_address(address)
    assert caught.value.code is ErrorCode.INVALID_FRAME
    for told in (replace(DESCRIPTOR, address=address), replace(DESCRIPTOR, app_address=address or "none")):
        said = build_home_found(HomeFound(told, linked=True))
        with pytest.raises(ProtocolError) as caught:
            parse_home_found(said)
        assert caught.value.code is ErrorCode.INVALID_FRAME
    assert not may_lead(address, "127.0.0.1:1")


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("127.8.9.1:1", AddressScope.MACHINE),
        ("[::1]:1", AddressScope.MACHINE),
        ("[::ffff:127.0.0.1]:1", AddressScope.MACHINE),
        ("LocalHost.:1", AddressScope.MACHINE),
        ("a.localhost:1", AddressScope.MACHINE),
        ("169.254.169.254:80", AddressScope.LINK),
        ("[fe80::1]:1", AddressScope.LINK),
        ("[::ffff:169.254.169.254]:1", AddressScope.LINK),
        ("10.0.0.1:1", AddressScope.WIDE),
        ("notlocalhost:1", AddressScope.WIDE),
        ("[fd00::1]:1", AddressScope.WIDE),
    ],
)
def test_what_leads_to_whoever_dials_counts_for_a_node_that_is_told_of_so_alone(address: str, reach: AddressScope) -> None:
    assert reach_of(address) is reach
    for own, least in (
        ("[::1]:7443", AddressScope.MACHINE),
        ("169.254.3.4:7443", AddressScope.LINK),
        ("hermes-0.mesh:7443", AddressScope.WIDE),
    ):
        assert may_lead(address, own) is (reach >= least)
