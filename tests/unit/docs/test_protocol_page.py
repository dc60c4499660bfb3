"""The protocol page names every frame of the wire, and every file that defines it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from hermes_core.keystore.mark import MARK_BYTES
from hermes_proto.v2 import app_router_pb2, node_mesh_pb2

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "protocol.md").read_text()
FRAMES = (app_router_pb2.ClientFrame.DESCRIPTOR, app_router_pb2.ServerFrame.DESCRIPTOR)
NOT_OF_THE_WIRE = {"admin.proto"}


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_every_body_stands_beside_its_flow(frame: Descriptor) -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert {field.name for field in frame.oneofs_by_name["body"].fields} <= named


def test_every_file_of_the_wire_is_named() -> None:
    files = {path.name for path in (ROOT / "proto" / "hermes_proto" / "v2").glob("*.proto")}
    assert set(re.findall(r"`([a-z_]+\.proto)`", PAGE)) == files - NOT_OF_THE_WIRE


def test_every_method_is_named() -> None:
    services = (*app_router_pb2.DESCRIPTOR.services_by_name.values(), *node_mesh_pb2.DESCRIPTOR.services_by_name.values())
    for service in services:
        for method in service.methods:
            assert f"{service.name}.{method.name}" in PAGE or f"`{method.name}`" in PAGE


def test_a_mark_is_as_long_as_pages_say() -> None:
    text = PAGE + (ROOT / "proto" / "hermes_proto" / "v2" / "node_mesh.proto").read_text()
    said = re.findall(r"marks \(Witnesses\) have (\d+) bytes|signed \*?\*?mark\b[^.(]*\((\d+) bytes", text)
    assert [max(numbers) for numbers in said] == 3 * [str(MARK_BYTES)]
