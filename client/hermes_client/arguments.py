"""What an app hands over, looked at before anything changes: a wrong type is a TypeError, a wrong value has its own error."""

from __future__ import annotations

import math
from typing import TypeVar

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, parse_app_id
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES

Content = bytes | bytearray | memoryview
"""What a message may be given as; it is copied, so that what becomes of the buffer afterwards changes no message."""

T = TypeVar("T")

_BYTE_FORMATS = frozenset({"B", "b", "c"})


def take_content(content: Content) -> bytes:
    """A copy; TypeError for what is not bytes, INVALID_FRAME for more than a message may have (64 KiB)."""
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(f"content is bytes, bytearray or a memoryview of bytes, not {_name(content)}{_cure(content)}")
    if isinstance(content, memoryview) and content.format not in _BYTE_FORMATS:
        raise TypeError(f"content is a memoryview of bytes, not of {content.format!r}; cast it to 'B'")
    size = content.nbytes if isinstance(content, memoryview) else len(content)
    if size > MAX_CONTENT_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"a message has at most {MAX_CONTENT_BYTES} bytes, this one has {size}")
    return bytes(content)


def take_app_id(app_id: AppId) -> AppId:
    """TypeError for what is no text, INVALID_FRAME for text that is no app id."""
    return parse_app_id(take(str, app_id, "app_id"))


def take_timeout(timeout_s: float | None, name: str = "timeout_s") -> float | None:
    """Seconds; None: without end, which infinity says as well. ValueError for less than nothing, and for no number."""
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise TypeError(f"{name} is a number of seconds or None, not {_name(timeout_s)}")
    if math.isnan(timeout_s) or timeout_s < 0:
        raise ValueError(f"{name} is at least 0, not {timeout_s}")
    return None if math.isinf(timeout_s) else float(timeout_s)


def take(kind: type[T], value: object, name: str) -> T:
    """`value`, which has to be of this kind; TypeError names what it is given for."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {kind.__name__}, not {_name(value)}")
    return value


def _name(value: object) -> str:
    return type(value).__name__


def _cure(content: object) -> str:
    return "; encode text first" if isinstance(content, str) else ""
