"""What a message of the soak holds: who says it, in which start of its process, and its number there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_SIZES = (0, 0, 40, 40, 200, 1_000, 1_000, 9_000)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A message of one direction of a chat: `number` counts from 1 in each `life`, a start of the sender's process."""

    life: int
    number: int


def build_content(chat: str, role: str, item: Item) -> bytes:
    """A readable head, and a filler whose bytes and length follow from it."""
    head = f"{chat} {role} {item.life} {item.number}".encode()
    digest = hashlib.sha256(head).digest()
    return head + b" " + hashlib.shake_128(head).digest(_SIZES[digest[0] % len(_SIZES)])


def read_content(chat: str, role: str, content: bytes) -> Item | None:
    """Which message of this direction it is; None for what is not exactly one."""
    try:
        life, number = (int(part) for part in content.split(b" ", 4)[2:4])
    except ValueError:
        return None
    item = Item(life, number)
    return item if content == build_content(chat, role, item) else None
