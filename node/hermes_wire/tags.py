"""The tag of a frame: which frames may have one, and how it travels; what it says is checked in hermes_core.session."""

from __future__ import annotations

from typing import Any

from hermes_core.protocol.validate import require
from hermes_core.session.canonical import CONTROL
from hermes_core.session.control import TAG_BYTES, Tagged


def with_tag(message: Any, tag: bytes) -> Any:
    """The message as it came: with its tag, or without one. INVALID_FRAME for a tag where none belongs, or of another length.

    Whether there must be one is the session's to say.
    """
    if not tag:
        return message
    require(len(tag) == TAG_BYTES, "tag must be 32 bytes")
    require(type(message) in CONTROL, "a tag where none belongs")
    return Tagged(message, tag)


def split_tag(item: Any) -> tuple[Any, bytes]:
    """A message and its tag, empty when it has none."""
    return (item.message, item.tag) if type(item) is Tagged else (item, b"")
