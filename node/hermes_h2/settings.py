"""A peer's SETTINGS: judged, and of what they say the one thing that matters to a server that uses no table and no push."""

from __future__ import annotations

from typing import Final

from hermes_h2.bounds import FRAME_BYTES
from hermes_h2.events import Refusal
from hermes_h2.faults import calm_fault, flow_fault, protocol_fault, size_fault
from hermes_h2.frames import MAX_WINDOW, SETTING, SettingKey

MAX_SETTINGS: Final = 64
"""In one frame; HTTP/2 knows fewer than ten."""
_MAX_FRAME_BYTES: Final = 2**24 - 1


def read_settings(payload: bytes) -> int | None:
    """The window that the peer's streams begin with, if it says so."""
    if len(payload) % SETTING.size:
        raise size_fault("SETTINGS")
    if len(payload) > MAX_SETTINGS * SETTING.size:
        raise calm_fault(Refusal.CONTROL_FRAMES, "too many settings")
    window = None
    for key, value in SETTING.iter_unpack(payload):
        if key == SettingKey.ENABLE_PUSH and value > 1:
            raise protocol_fault("ENABLE_PUSH")
        if key == SettingKey.INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise flow_fault("INITIAL_WINDOW_SIZE")
            window = value
        if key == SettingKey.MAX_FRAME_SIZE and not FRAME_BYTES <= value <= _MAX_FRAME_BYTES:
            raise protocol_fault("MAX_FRAME_SIZE")
    return window
