"""From the configuration to the parameters of the sans-IO machines."""

from __future__ import annotations

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.suites import Suite
from hermes_core.keystore.rotation_timer import RotationParams
from hermes_core.mesh.carry.detours import DetourParams
from hermes_core.mesh.carry.places import CarryParams
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.opening_check import OpeningParams
from hermes_core.mesh.params import SUSPECT_SHARE, MeshParams
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.ratchet.channel import ChannelParams
from hermes_core.relay.params import ChatParams, SessionParams
from hermes_node.config.sections import Config, KeystoreSection


def build_chat_params(config: Config) -> ChatParams:
    crypto, limits, cleanup = config.crypto, config.limits, config.cleanup
    return ChatParams(
        channel=ChannelParams(
            suites=tuple(map(Suite.named, crypto.suites)),
            window=crypto.window,
            max_skip=crypto.max_skip,
            overlap_s=crypto.overlap_s,
        ),
        handshake_timeout_s=cleanup.handshake_timeout_s,
        idle_timeout_s=cleanup.idle_timeout_s,
        max_key_lifetime_s=crypto.max_key_lifetime_s,
        max_key_messages=crypto.max_key_messages,
        rekey_grace_s=crypto.rekey_grace_s,
        rekey_burst=crypto.rekey_burst,
        rekey_refill_s=crypto.rekey_refill_s,
        max_chats=limits.max_chats,
        max_chats_per_app=limits.max_chats_per_app,
        max_handshakes_per_app=limits.max_handshakes_per_app,
        handshake_refill_s=limits.handshake_refill_s,
    )


def build_session_params(config: Config) -> SessionParams:
    limits = config.limits
    return SessionParams(
        heartbeat_interval_s=config.app.heartbeat_interval_s,
        connect_timeout_s=limits.connect_timeout_s,
        max_sessions=limits.max_sessions,
        max_unauthenticated_streams=limits.max_unauthenticated_streams,
        max_invalid_batches=limits.max_invalid_batches,
        window_frames=config.crypto.window,
    )


def build_homes_params(config: Config) -> HomesParams:
    """A node holds about three times as many entries as it has apps; in a mesh of few nodes, of fuller ones, more."""
    least, apps = HomesParams(), config.limits.max_sessions
    return HomesParams(max_held=max(least.max_held, 6 * apps), asked_burst=max(least.asked_burst, 2 * apps))


def build_mesh_params(config: Config) -> MeshParams:
    mesh = config.mesh
    return MeshParams(
        heartbeat_interval_s=mesh.heartbeat_interval_s,
        suspect_after_s=mesh.dead_after_s * SUSPECT_SHARE,
        dead_after_s=mesh.dead_after_s,
        max_members=config.limits.max_peers,
    )


def build_swim_params(config: Config) -> SwimParams:
    """A heartbeat is a probe: its interval is the period that everything else is a multiple of."""
    return SwimParams(period_s=config.mesh.heartbeat_interval_s, max_members=config.limits.max_peers)


def build_detour_params(config: Config) -> DetourParams:
    return DetourParams(config.mesh.direct_again_s)


def build_carry_params(config: Config) -> CarryParams:
    return CarryParams(config.limits.max_carried_streams, config.limits.max_carried_kib)


def build_opening_params(config: Config) -> OpeningParams:
    return OpeningParams(config.mesh.witness_wait_s, config.mesh.opening_wait_s)


def build_rotation_params(keystore: KeystoreSection) -> RotationParams:
    return RotationParams(keystore.rotate_interval_s, keystore.erase_within_s, keystore.rotate_after_deletes)


def build_argon2_params(keystore: KeystoreSection) -> Argon2Params:
    return Argon2Params(keystore.argon2_memory_kib, keystore.argon2_time_cost, keystore.argon2_lanes)
