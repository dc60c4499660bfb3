"""What tests of the relay share."""

from __future__ import annotations

import pytest

from tests.support.moving_mesh import MovingMesh


@pytest.fixture(params=[False, True], ids=["each has streams to each", "dialled on demand"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How nodes come to their streams to each other."""
    monkeypatch.setattr(MovingMesh, "dials_on_demand", request.param)
