"""Session messages of an app's stream, protobuf to core and back."""

from __future__ import annotations

from hermes_core.ids import AppId, NodeId
from hermes_core.keystore.mark import MARK_BYTES
from hermes_core.protocol import session as core
from hermes_core.protocol.validate import require
from hermes_proto.v2 import app_router_pb2, chat_pb2


def parse_challenge(pb: app_router_pb2.Challenge) -> core.Challenge:
    return core.Challenge(NodeId(pb.node_id), pb.node_key, pb.challenge, pb.ephemeral, pb.suites, pb.renewals)


def build_challenge(m: core.Challenge) -> app_router_pb2.Challenge:
    return app_router_pb2.Challenge(
        node_id=m.node_id,
        node_key=m.node_key,
        challenge=m.challenge,
        ephemeral=m.ephemeral,
        suites=m.suites,
        renewals=m.renewals,
    )


def parse_connect(pb: app_router_pb2.Connect) -> core.Connect:
    _check_mark(pb.mark)
    return core.Connect(pb.app_key, pb.nonce, pb.ephemeral, pb.suite, pb.stamp, pb.signature, pb.mark)


def build_connect(m: core.Connect) -> app_router_pb2.Connect:
    return app_router_pb2.Connect(
        app_key=m.app_key,
        nonce=m.nonce,
        ephemeral=m.ephemeral,
        suite=m.suite,
        stamp=m.stamp,
        signature=m.signature,
        mark=m.mark,
    )


def parse_connected(pb: app_router_pb2.Connected) -> core.Connected:
    _check_mark(pb.mark)
    return core.Connected(
        AppId(pb.app_id), pb.heartbeat_interval_ms, pb.max_frame_bytes, pb.window_frames, pb.signature, pb.mark
    )


def build_connected(m: core.Connected) -> app_router_pb2.Connected:
    return app_router_pb2.Connected(
        app_id=m.app_id,
        heartbeat_interval_ms=m.heartbeat_interval_ms,
        max_frame_bytes=m.max_frame_bytes,
        window_frames=m.window_frames,
        signature=m.signature,
        mark=m.mark,
    )


def _check_mark(mark: bytes) -> None:
    require(len(mark) in (0, MARK_BYTES), f"a mark has {MARK_BYTES} bytes")


def parse_find(pb: app_router_pb2.FindApp) -> core.FindApp:
    return core.FindApp(AppId(pb.app_id))


def build_find(m: core.FindApp) -> app_router_pb2.FindApp:
    return app_router_pb2.FindApp(app_id=m.app_id)


def parse_found(pb: app_router_pb2.AppFound) -> core.AppFound:
    return core.AppFound(AppId(pb.app_id), pb.online, NodeId(pb.node_id) if pb.node_id else None)


def build_found(m: core.AppFound) -> app_router_pb2.AppFound:
    return app_router_pb2.AppFound(app_id=m.app_id, online=m.online, node_id=m.node_id or "")


def parse_node_change(pb: app_router_pb2.NodeChange) -> core.NodeChange:
    return core.NodeChange(pb.drain_after_ms, pb.back_within_ms, pb.for_good)


def build_node_change(m: core.NodeChange) -> app_router_pb2.NodeChange:
    return app_router_pb2.NodeChange(drain_after_ms=m.drain_after_ms, back_within_ms=m.back_within_ms, for_good=m.for_good)


def parse_heartbeat(pb: chat_pb2.Heartbeat) -> core.Heartbeat:
    return core.Heartbeat(pb.sequence, pb.reply)


def build_heartbeat(m: core.Heartbeat) -> chat_pb2.Heartbeat:
    return chat_pb2.Heartbeat(sequence=m.sequence, reply=m.reply)
