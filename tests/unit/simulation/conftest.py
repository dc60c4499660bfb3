"""Worlds that are over go here, and not while another test parses Python: their coroutines end as they are collected."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _collect_worlds() -> Iterator[None]:
    yield
    gc.collect()
