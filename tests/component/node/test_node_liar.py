"""A member with a valid certificate that lies in every field: honest nodes and apps feel nothing of it, and name it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hermes_client.scenario import local_mesh
from tests.liar.lies import Liar
from tests.liar.places import GOSSIP_TYPES, ROUTE_TYPES, SAMPLES, list_places
from tests.liar.world import Options, run_liar

SEED = 7
SECONDS = 6.0


async def test_honest_nodes_and_apps_feel_nothing_of_a_liar(tmp_path: Path) -> None:
    membership = str(local_mesh.FAST_SETTINGS["mesh"].get("membership", "swim"))
    findings = await run_liar(Options(SECONDS, SEED, membership, rate=60), tmp_path)
    assert not findings.broken, findings.describe()


def test_no_message_and_no_field_is_left_out() -> None:
    assert set(SAMPLES) == GOSSIP_TYPES | ROUTE_TYPES, "tests/support/control_samples.py has one of each"
    for kind in SAMPLES:
        first = {place.path[0] for place in list_places() if place.kind is kind and place.path}
        assert first == {field.name for field in dataclasses.fields(kind)}


def test_one_seed_draws_the_same_lies() -> None:
    def draw(seed: int) -> list[str]:
        liar = Liar(seed, "liar", ["127.0.0.1:1"])
        return [repr(liar.lie(place)) for place in list_places()]

    assert draw(1) == draw(1) != draw(2)
