"""Refused connections of the mesh's port: all are counted, and a line a minute is for each kind and address."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

from hermes_h2.events import Refusal
from hermes_node.logs.event_log import BURST_LINES, EventLog
from hermes_node.logs.spaced import AGAIN_S, MAX_TOLD
from hermes_node.streams.refusals import MeshRefusals


class Told:
    def __init__(self) -> None:
        self.now = 0.0
        self.counted: Counter[Refusal] = Counter()
        self._text = io.StringIO()
        log = EventLog(node_id="n", stream=self._text, clock=lambda: self.now)
        self.refusals = MeshRefusals(log, lambda kind: self.counted.update((kind,)), lambda: self.now)

    def refuse(self, kind: Refusal, address: str, names: frozenset[str] = frozenset()) -> None:
        self.refusals.tell(kind, address, "why", names)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.getvalue().splitlines()]


def test_a_kind_and_an_address_have_a_line_a_minute_and_say_how_many_had_none() -> None:
    told = Told()
    for _ in range(5):
        told.refuse(Refusal.NO_CERTIFICATE, "192.0.2.1")
    told.refuse(Refusal.CERTIFICATE_EXPIRED, "192.0.2.1")
    told.refuse(Refusal.NO_CERTIFICATE, "192.0.2.2", frozenset({"b", "a"}))
    told.now = AGAIN_S
    told.refuse(Refusal.NO_CERTIFICATE, "192.0.2.1")
    shown = [(line["kind"], line["address"], line["certificate"], line["untold"]) for line in told.lines()]
    assert shown == [
        ("no_certificate", "192.0.2.1", "", 0),
        ("certificate_expired", "192.0.2.1", "", 0),
        ("no_certificate", "192.0.2.2", "a,b", 0),
        ("no_certificate", "192.0.2.1", "", 4),
    ]
    assert told.counted == {Refusal.NO_CERTIFICATE: 7, Refusal.CERTIFICATE_EXPIRED: 1}


def test_addresses_of_one_machine_have_one_line() -> None:
    told = Told()
    for number in range(100):
        told.refuse(Refusal.TLS, f"2001:db8::{number:x}")
    assert len(told.lines()) == 1


def test_what_is_remembered_is_bounded_and_so_are_the_lines() -> None:
    told = Told()
    for number in range(MAX_TOLD + 10):
        told.refuse(Refusal.TLS, f"10.0.{number >> 8}.{number & 255}")
    assert len(told.refusals._told) == MAX_TOLD
    assert len(told.lines()) == BURST_LINES
    assert told.counted[Refusal.TLS] == MAX_TOLD + 10
