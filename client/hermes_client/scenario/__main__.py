"""`python -m hermes_client.scenario`."""

from __future__ import annotations

import sys

from hermes_client.scenario.cli import main

sys.exit(main())
