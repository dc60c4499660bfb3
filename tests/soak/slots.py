"""Chats that are kept alive: each slot is a pair of apps, of which the first one opens a new chat when theirs has ended."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.soak.process import AppProcess


@dataclass(slots=True)
class Slot:
    first: str
    second: str
    chat: str = ""


def draw_slots(seed: int, apps: list[str], count: int) -> list[Slot]:
    """Pairs of different apps; every app is in about as many."""
    draws = random.Random(f"{seed}/slots")
    slots: list[Slot] = []
    while len(slots) < count:
        order = draws.sample(apps, len(apps))
        slots += [Slot(one, other) for one, other in zip(order[::2], order[1::2], strict=False)]
    return slots[:count]


class Slots:
    def __init__(self, slots: list[Slot], apps: Mapping[str, AppProcess]) -> None:
        self.slots = slots
        self.opened = 0
        self._apps = apps
        self._open = False

    def begin(self) -> None:
        """All apps are there: open the chats, and keep them."""
        self._open = True
        for name in self._apps:
            self._fill(name)

    def stop(self) -> None:
        """No chat is opened anew from here on."""
        self._open = False

    def note(self, app: str, event: list[Any]) -> None:
        match event[2:]:
            case ["open", _, kept]:
                for slot in self.slots:
                    if slot.first == app and slot.chat not in kept:
                        slot.chat = ""
                self._fill(app)
            case ["opened", number, chat]:
                self.slots[number].chat = chat
                self.opened += 1
            case ["ended", chat, *_]:
                for number, slot in enumerate(self.slots):
                    if slot.first == app and slot.chat == chat:
                        slot.chat = ""
                        self._start(number)

    def _fill(self, app: str) -> None:
        for number, slot in enumerate(self.slots):
            if slot.first == app and not slot.chat:
                self._start(number)

    def _start(self, number: int) -> None:
        slot = self.slots[number]
        if self._open:
            self._apps[slot.first].command("start", number, self._apps[slot.second].app_id)
