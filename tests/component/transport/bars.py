"""The bars of the own transport that take minutes, or programs in Go: `make transport` runs them, `make test` does not."""

from __future__ import annotations

import os

import pytest

BAR = pytest.mark.skipif(not os.environ.get("HERMES_TRANSPORT_BARS"), reason="`make transport` runs it")
