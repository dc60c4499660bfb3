"""AppRouter.Open against hostile and clumsy apps: each gets its error code, and nobody else notices."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatReady
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import ErrorNotice, Sealed
from hermes_core.protocol.session import Heartbeat
from hermes_core.protocol.validate import MIN_SEALED_BYTES
from hermes_proto.v2.app_router_pb2 import ClientBatch, ClientFrame
from hermes_proto.v2.app_router_pb2 import Connect as PbConnect
from hermes_proto.v2.app_router_pb2 import FindApp as PbFindApp
from hermes_proto.v2.chat_pb2 import DeleteChat
from hermes_proto.v2.chat_pb2 import Heartbeat as PbHeartbeat
from hermes_wire.app import MAX_BATCH_BYTES, MAX_BATCH_FRAMES
from tests.support.nodes import wait_logged
from tests.support.raw_app import RawApp

FOUND_S = 20.0
"""Bears a busy machine, and is below the 45 s after which a node takes a silent app for gone."""


@pytest.fixture
async def app(mesh: LocalMesh) -> AsyncIterator[RawApp]:
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as connected:
        yield connected


async def expect_refusal(app: RawApp, code: ErrorCode) -> None:
    """The stream's last frame is this error, and then it ends."""
    (notice,) = await app.read()
    assert isinstance(notice, ErrorNotice)
    assert (notice.code, notice.scope) == (code, ErrorScope.STREAM)
    assert await app.read() == []


async def test_wrong_signature_is_refused(mesh: LocalMesh) -> None:
    app = RawApp(mesh.nodes[0].app, mesh.ca_file)
    connect = app.answer(await app.open_stream())
    await app.write([dataclasses.replace(connect, signature=bytes(64))])
    await expect_refusal(app, ErrorCode.AUTH_FAILED)
    await app.close()


async def test_a_recorded_connect_opens_no_other_stream(mesh: LocalMesh) -> None:
    first, second = RawApp(mesh.nodes[0].app, mesh.ca_file), RawApp(mesh.nodes[0].app, mesh.ca_file)
    recorded = first.answer(await first.open_stream())
    await second.open_stream()
    await second.write([recorded])
    await expect_refusal(second, ErrorCode.AUTH_FAILED)
    await first.close()
    await second.close()


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), bytes([255]) * 32], ids=["zero", "identity", "no-point"])
async def test_keys_that_are_no_keys_are_refused(mesh: LocalMesh, key: bytes) -> None:
    app = RawApp(mesh.nodes[0].app, mesh.ca_file)
    connect = app.answer(await app.open_stream())
    await app.write([dataclasses.replace(connect, app_key=key)])
    await expect_refusal(app, ErrorCode.INVALID_KEY)
    await app.close()


async def test_nothing_but_connect_is_accepted_first(mesh: LocalMesh) -> None:
    app = RawApp(mesh.nodes[0].app, mesh.ca_file)
    await app.open_stream()
    await app.write([Heartbeat(1, reply=False)])
    await expect_refusal(app, ErrorCode.INVALID_FRAME)
    await app.close()


async def test_garbage_before_connect_is_refused(mesh: LocalMesh) -> None:
    app = RawApp(mesh.nodes[0].app, mesh.ca_file)
    await app.open_stream()
    await app.write_raw(b"\xff\xff\xff")
    await expect_refusal(app, ErrorCode.INVALID_FRAME)
    await app.close()


def batch_of(*frames: ClientFrame) -> bytes:
    return ClientBatch(frames=frames).SerializeToString()


MALFORMED = {
    "not protobuf": b"\xff\xff\xff\xff",
    "empty frame": batch_of(ClientFrame()),
    "unknown frame kind": b"\x0a\x04\xa2\x06\x01\x00",
    "short sealed": batch_of(ClientFrame(sealed=bytes(MIN_SEALED_BYTES - 1))),
    "short chat id": batch_of(ClientFrame(delete_chat=DeleteChat(chat_id=bytes(15)))),
    "bad app id": batch_of(ClientFrame(find_app=PbFindApp(app_id="A" * 32))),
    "too many frames": batch_of(*[ClientFrame(heartbeat=PbHeartbeat(sequence=1))] * (MAX_BATCH_FRAMES + 1)),
    "too many bytes": b"\x0a" * (MAX_BATCH_BYTES + 1),
    "second connect": batch_of(ClientFrame(connect=PbConnect(app_key=bytes(32), nonce=bytes(32), signature=bytes(64)))),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_batches_get_invalid_frame_and_the_stream_goes_on(app: RawApp, data: bytes) -> None:
    await app.write_raw(data)
    notice = await app.wait_error()
    assert (notice.code, notice.scope, notice.chat_id) == (ErrorCode.INVALID_FRAME, ErrorScope.FRAME, None)
    await app.write([Heartbeat(77, reply=False)])
    assert await app.wait(lambda: Heartbeat(77, reply=True) in app.received)


async def test_a_message_far_beyond_the_bound_ends_only_its_own_stream(app: RawApp, mesh: LocalMesh) -> None:
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as flooder:
        await flooder.write_raw(bytes(MAX_BATCH_BYTES + 1_000_000))
        await asyncio.wait_for(flooder.ended.wait(), 20)
    await app.write([Heartbeat(1, reply=False)])
    assert await app.wait(lambda: Heartbeat(1, reply=True) in app.received)


async def test_a_stream_of_malformed_batches_is_ended(app: RawApp) -> None:
    for _ in range(65):
        await app.write_raw(b"\xff")
    await asyncio.wait_for(app.ended.wait(), 20)
    last = app.received[-1]
    assert isinstance(last, ErrorNotice)
    assert (last.code, last.scope) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM)


async def test_frames_of_unknown_chats_are_answered(app: RawApp) -> None:
    header = bytes([1, 2]) + secrets.token_bytes(16) + (1).to_bytes(4, "big") + b"\0" + bytes(8)
    await app.write([Sealed(header + secrets.token_bytes(100))])
    notice = await app.wait_error()
    assert notice.code is ErrorCode.CHAT_NOT_FOUND
    assert notice.chat_id == ChatId(header[2:18])


async def test_misbehaviour_of_one_app_harms_no_other(mesh: LocalMesh) -> None:
    node = mesh.nodes[0]
    async with RawApp(node.app, mesh.ca_file) as one, RawApp(node.app, mesh.ca_file) as two:
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        async with RawApp(node.app, mesh.ca_file) as hostile:
            for data in MALFORMED.values():
                await hostile.write_raw(data)
            # Somebody else's chat, with a frame that no key of that chat sealed.
            await hostile.write([Sealed(bytes([1, 2]) + chat + (1).to_bytes(4, "big") + bytes(9) + bytes(100))])
            await hostile.wait(lambda: any(isinstance(m, ErrorNotice) and m.chat_id == chat for m in hostile.received))
            await one.say(chat, b"still", b"here")
            await two.wait(lambda: two.contents() == [b"still", b"here"])


async def test_a_second_session_replaces_the_first(mesh: LocalMesh) -> None:
    node = mesh.nodes[0]
    async with RawApp(node.app, mesh.ca_file) as first, RawApp(node.app, mesh.ca_file, identity=first.identity) as second:
        await asyncio.wait_for(first.ended.wait(), 20)
        last = first.received[-1]
        assert isinstance(last, ErrorNotice)
        assert last.scope is ErrorScope.STREAM
        await second.write([Heartbeat(5, reply=False)])
        assert await second.wait(lambda: Heartbeat(5, reply=True) in second.received)
        assert (await second.find(second)).online
    await wait_logged(node, "app_replaced")


async def test_an_app_that_comes_up_elsewhere_is_found_there_though_its_older_stream_says_no_goodbye(mesh: LocalMesh) -> None:
    """Its machine froze, say: the node there hears nothing for many seconds, and has no reason to think it gone."""
    old, new = mesh.nodes[1], mesh.nodes[0]
    async with (
        RawApp(old.app, mesh.ca_file) as frozen,
        RawApp(old.app, mesh.ca_file) as beside,
        RawApp(new.app, mesh.ca_file) as far,
        RawApp(new.app, mesh.ca_file, identity=frozen.identity) as back,
        asyncio.timeout(FOUND_S),
    ):
        for asking in (far, beside):
            while (await asking.find(back)).node_id != "local-0":  # noqa: ASYNC110 - word of it takes a moment
                await asyncio.sleep(0.02)
        chat = await beside.start_chat(back)
        await beside.wait_event(ChatReady)
        await beside.say(chat, b"found")
        await back.wait(lambda: back.contents() == [b"found"])
        assert not frozen.contents()


async def test_find_app_knows_both_nodes(mesh: LocalMesh) -> None:
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as here, RawApp(mesh.nodes[1].app, mesh.ca_file) as there:
        await here.wait_found(there)
        found = await here.find(there)
        assert (found.app_id, found.node_id) == (there.app_id, "local-1")
        nobody = RawApp(mesh.nodes[0].app)
        missing = await here.find(nobody)
        assert (missing.online, missing.node_id) == (False, None)


async def test_health_and_reflection_are_served(mesh: LocalMesh) -> None:
    credentials = grpc.ssl_channel_credentials(mesh.ca_file.read_bytes())
    async with grpc.aio.secure_channel(mesh.nodes[0].app, credentials) as channel:
        for service in ("", "hermes.v2.AppRouter"):
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        async for response in stub.ServerReflectionInfo(iter([asked])):
            names = {service.name for service in response.list_services_response.service}
            assert {"hermes.v2.AppRouter", "grpc.health.v1.Health"} <= names
