"""Random configurations: a node takes one, or refuses it by name before it writes anything. Seeds are in the failures."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hermes_core.errors import ConfigError
from hermes_node.config.sources import load_config
from tests.component.node.config_fuzz import FIELDS, mutate, render_toml, run_case

BASE = {
    "node": {"id": "solo"},
    "app": {"listen": "127.0.0.1:0"},
    "mesh": {"listen": "127.0.0.1:0", "tls_cert": "/c", "tls_key": "/k", "tls_ca": "/ca"},
}


@pytest.mark.parametrize("block", range(8))
def test_a_configuration_is_read_or_refused_by_name(block: int, tmp_path: Path) -> None:
    refusals = {seed: _read(seed, tmp_path / "node.toml") for seed in range(block * 250, block * 250 + 250)}
    taken = [seed for seed, refusal in refusals.items() if refusal is None]
    assert 50 < len(taken) < 200
    for seed, refusal in refusals.items():
        if refusal is not None:
            assert refusal.field.partition("[")[0] in FIELDS, f"seed {seed}: {refusal.detail}"
            assert len(refusal.detail.splitlines()) == 1, f"seed {seed}: {refusal.detail}"


def _read(seed: int, path: Path) -> ConfigError | None:
    settings, environment = {name: dict(values) for name, values in BASE.items()}, dict[str, str]()
    done = mutate(random.Random(seed), settings, environment)
    path.write_text(render_toml(settings))
    try:
        load_config(path, environment)
    except ConfigError as error:
        return error
    except Exception as error:
        raise AssertionError(f"seed {seed}: {done}") from error
    return None


# The last ones are wrong only for what is outside the configuration: a folder, the length of a name, foreign addresses.
@pytest.mark.parametrize("seed", [*range(9), 14, 82, 205, 210])
def test_a_node_serves_or_ends_with_78_and_has_written_nothing(seed: int) -> None:
    assert run_case(seed) in ("served", "refused")
